"""API addresses of moves."""

from django.urls import path

from labpanel.moves import api

urlpatterns = [
    path("vms/<uuid:uuid>/move-plan", api.read_plan),
    path("vms/<uuid:uuid>/move", api.create_move),
]
