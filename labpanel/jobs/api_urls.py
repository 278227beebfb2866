"""API addresses of the app jobs."""

from django.urls import path

from labpanel.jobs import api

urlpatterns = [
    path("jobs", api.jobs, name="api-jobs"),
    path("jobs/<int:pk>", api.job, name="api-job"),
    path("jobs/<int:pk>/cancel", api.cancel, name="api-job-cancel"),
]
