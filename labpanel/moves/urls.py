"""Addresses of the app moves."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
