"""Addresses of moves."""

from django.urls import path

from labpanel.moves import views

urlpatterns = [path("vms/<uuid:uuid>/move/", views.move, name="vm-move")]
