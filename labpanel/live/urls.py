"""Addresses of the app live."""

from django.urls import path

from labpanel.live.events import events
from labpanel.live.healthz import healthz

urlpatterns = [
    path("events", events, name="events"),
    path("healthz", healthz, name="healthz"),
]
