"""Addresses of the app home."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
