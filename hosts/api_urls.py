"""API addresses of the app hosts."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
