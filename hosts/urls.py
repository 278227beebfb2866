"""Addresses of the app hosts."""

from django.urls import path

from hosts.views import adding, powering, removing, seeing, series

urlpatterns = [
    path("vms/<uuid:uuid>/series.json", series.vm_series, name="vm-series"),
    path("hosts/<slug:name>/series.json", series.host_series, name="host-series"),
    path("vms/<uuid:uuid>/power/", powering.power, name="vm-power"),
    path("incidents/<int:number>/seen/", seeing.seen, name="incident-seen"),
    path("vms/<uuid:uuid>/forget/", removing.forget, name="vm-forget"),
    path("hosts/<slug:name>/remove/", removing.remove, name="host-remove"),
    path("settings/hosts/look/", adding.look, name="host-look"),
    path("settings/hosts/add/", adding.add, name="host-add"),
]
