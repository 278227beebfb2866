"""Signing in."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.shortcuts import redirect

from labpanel.accounts.forms import SignInForm
from labpanel.accounts.services.sign_in import sign_in


class SignIn(LoginView):
    """The sign-in page; a user who is signed in already is sent to the overview."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_context_data(self, **options: Any) -> dict[str, Any]:
        nobody_yet = not get_user_model().objects.exists()
        return {**super().get_context_data(**options), "nobody_yet": nobody_yet}

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        assert isinstance(user, User)
        sign_in(self.request, user)
        return redirect(self.get_success_url())

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        if isinstance(form, SignInForm):
            response.status_code = form.status
        return response
