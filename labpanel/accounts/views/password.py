"""A new password for who is signed in."""

from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from labpanel.accounts.forms import ChangePasswordForm
from labpanel.accounts.services import mark_session
from labpanel.accounts.services.set_password import set_password
from labpanel.door.asked_from import asked_from
from labpanel.lib.refusal import Refusal


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """This session goes on under a new key; all others of the account end."""
    user = request.user
    assert isinstance(user, User)
    form = ChangePasswordForm(user, asked_from(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _change(request, user, form.cleaned_data["new_password1"])
        except Refusal as refusal:
            form.add_error(None, refusal.sentence)
            form.status = refusal.http_status
        else:
            return redirect(reverse("sessions") + "?changed=1")
    return render(request, "accounts/password.html", {"form": form}, status=form.status)


def _change(request: HttpRequest, user: User, new: str) -> None:
    set_password(user, new, asked_from(request), but=request.session.session_key)
    update_session_auth_hash(request, user)
    if request.session.session_key:
        mark_session.seen(request, request.session.session_key)
