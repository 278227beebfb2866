"""Addresses of the app live."""

from django.urls import path

from labpanel.live.healthz import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
]
