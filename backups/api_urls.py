"""API addresses of the app backups."""

from django.urls import URLPattern, path

from backups import api
from labpanel.api import by_method

urlpatterns: list[URLPattern] = [
    path("coverage", api.read_coverage),
    path("stores", by_method(GET=api.read_stores, POST=api.create_store)),
    path("generations", api.read_generations),
    path("generations/<str:key>", api.read_generation),
    path("generations/<str:key>/verify", api.create_verification),
    path("generations/<str:key>/restore", api.create_restore),
    path("backups", api.create_backup),
]
