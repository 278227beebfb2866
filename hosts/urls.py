"""Addresses of the app hosts."""

from django.urls import path

from hosts.views import series

urlpatterns = [
    path("vms/<uuid:uuid>/series.json", series.vm_series, name="vm-series"),
    path("hosts/<slug:name>/series.json", series.host_series, name="host-series"),
]
