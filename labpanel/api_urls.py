"""/api/v1: each app lists its own addresses."""

from django.urls import include, path

from labpanel.api import not_found

urlpatterns = [
    path("", include("hosts.api_urls")),
    path("", include("backups.api_urls")),
    path("", include("labpanel.jobs.api_urls")),
    path("", include("labpanel.moves.api_urls")),
    path("<path:path>", not_found),
]
