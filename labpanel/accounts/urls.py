"""Addresses of the app accounts."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from labpanel.accounts import views

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("first/<str:token>/", views.first_sign_in, name="first-sign-in"),
]
