"""Addresses of the app backups."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
