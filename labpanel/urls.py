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
    path("api/v1/", include("labpanel.verbs.urls")),
]

handler400 = "labpanel.home.views.errors.bad_request"
handler403 = "labpanel.home.views.errors.forbidden"
handler404 = "labpanel.home.views.errors.not_found"
handler500 = "labpanel.home.views.errors.broken"
