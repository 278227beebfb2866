"""Addresses of the pages that stand on several apps."""

from django.urls import path

from labpanel.home.views.clock import clock
from labpanel.home.views.host import host
from labpanel.home.views.overview import overview
from labpanel.home.views.settings import settings
from labpanel.home.views.vm import vm

urlpatterns = [
    path("", overview, name="overview"),
    path("hosts/<slug:name>/", host, name="host"),
    path("vms/<uuid:uuid>/", vm, name="vm"),
    path("clock/", clock, name="clock"),
    path("settings/", settings, name="settings"),
]
