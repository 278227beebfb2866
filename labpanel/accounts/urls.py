"""Addresses of the app accounts."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from labpanel.accounts.views import sessions
from labpanel.accounts.views.first import first_sign_in
from labpanel.accounts.views.password import password
from labpanel.accounts.views.sign_in import SignIn

urlpatterns = [
    path("sign-in/", SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("first/<str:token>/", first_sign_in, name="first-sign-in"),
    path("settings/password/", password, name="password"),
    path("settings/sessions/", sessions.sessions, name="sessions"),
    path("settings/sessions/end-others/", sessions.end_others, name="sessions-end-others"),
    path("settings/sessions/<int:number>/end/", sessions.end_one, name="session-end"),
]
