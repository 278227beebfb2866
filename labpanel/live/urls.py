"""Addresses of the app live."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
