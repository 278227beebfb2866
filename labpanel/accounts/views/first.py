"""What a one-time link opens: the first account, or a new password."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from labpanel.accounts.forms import FirstAdminForm, NewPasswordForm
from labpanel.accounts.services import first_link
from labpanel.accounts.services.hashing import hashing
from labpanel.accounts.services.sign_in import sign_in
from labpanel.door.asked_from import asked_from
from labpanel.lib.refusal import Refusal


@login_not_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def first_sign_in(request: HttpRequest, token: str) -> HttpResponse:
    """Signed in at the end. 404 or 410 where the link opens nothing, 503 when it is too busy."""
    try:
        found = first_link.find(token)
        if found.user is None:
            return _first_account(request, token)
        return _new_password(request, token, found.user)
    except Refusal as refusal:
        context = {"sentence": refusal.sentence}
        return render(request, "accounts/link_over.html", context, status=refusal.http_status)


def _first_account(request: HttpRequest, token: str) -> HttpResponse:
    form = FirstAdminForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with hashing.place(stranger=True):
            fresh = form.save(commit=False)
        sign_in(request, first_link.use(token, fresh))
        return redirect("overview")
    return render(request, "accounts/first.html", {"form": form})


def _new_password(request: HttpRequest, token: str, user: User) -> HttpResponse:
    form = NewPasswordForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        password = form.cleaned_data["new_password1"]
        sign_in(request, first_link.use_for_password(token, password, asked_from(request)))
        return redirect("overview")
    return render(request, "accounts/new_password.html", {"form": form, "account": user})
