"""Signing in and out, and the first account."""

from typing import Any

from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from labpanel.accounts.forms import FirstAdminForm, SignInForm
from labpanel.accounts.services import first_link
from labpanel.lib.refusal import Refusal

TOO_MANY = 429


class SignIn(LoginView):
    """The sign-in page; whoever is signed in already goes on to the overview."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_context_data(self, **options: Any) -> dict[str, Any]:
        nobody_yet = not get_user_model().objects.exists()
        return {**super().get_context_data(**options), "nobody_yet": nobody_yet}

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        too_many = getattr(form, "too_many", None)
        if too_many is not None:
            response.status_code = TOO_MANY
        return response


@login_not_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def first_sign_in(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first account and be signed in with it. 404 or 410 where the link opens nothing."""
    try:
        first_link.find(token)
        form = FirstAdminForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            user = first_link.use(token, form.save(commit=False))
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            return redirect("overview")
    except Refusal as refusal:
        context = {"sentence": refusal.sentence}
        return render(request, "accounts/link_over.html", context, status=refusal.status)
    return render(request, "accounts/first.html", {"form": form})
