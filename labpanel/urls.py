"""Every address of the panel; each app lists its own."""

from django.urls import include, path

urlpatterns = [
    path("", include("labpanel.home.urls")),
    path("", include("labpanel.accounts.urls")),
    path("", include("labpanel.live.urls")),
    path("", include("labpanel.jobs.urls")),
    path("", include("hosts.urls")),
    path("", include("backups.urls")),
    path("", include("labpanel.moves.urls")),
    path("api/v1/", include("labpanel.api_urls")),
]
