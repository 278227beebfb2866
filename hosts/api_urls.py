"""API addresses of the app hosts."""

from django.urls import path

from hosts import api

urlpatterns = [
    path("hosts", api.hosts),
    path("hosts/<str:name>", api.host),
    path("incidents", api.incidents),
    path("key", api.key),
    path("vms", api.vms),
    path("vms/<uuid:uuid>", api.vm),
    path("vms/<uuid:uuid>/power", api.vm_power),
]
