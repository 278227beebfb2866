"""Addresses of the app hosts."""

from django.urls import path

from hosts.views import adding, powering, series

urlpatterns = [
    path("vms/<uuid:uuid>/series.json", series.vm_series, name="vm-series"),
    path("hosts/<slug:name>/series.json", series.host_series, name="host-series"),
    path("vms/<uuid:uuid>/power/", powering.power, name="vm-power"),
    path("settings/hosts/look/", adding.look, name="host-look"),
    path("settings/hosts/add/", adding.add, name="host-add"),
]
