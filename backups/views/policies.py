"""Policies: which VMs are backed up when and to where, and what became of it."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backups.models import Policy, Store
from backups.selectors.policies.policy_rows import policy_list, without_policy
from backups.services.policies.delete_policy import delete_policy
from backups.services.policies.recommended_policy import recommended_policy
from backups.services.policies.save_policy import save_policy
from backups.views.policy_form import PolicyForm
from labpanel.jobs.acting import do
from labpanel.lib.refusal import Refusal


@require_safe
def policies(request: HttpRequest) -> HttpResponse:
    context = {
        "rows": policy_list(timezone.now()),
        "bare": without_policy(),
        "stores": Store.objects.exists(),
    }
    return render(request, "backups/policies.html", context)


@require_POST
def recommended(request: HttpRequest) -> HttpResponse:
    return do(request, recommended_policy, reverse("policies"))


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    return _form(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
def policy(request: HttpRequest, pk: int) -> HttpResponse:
    return _form(request, get_object_or_404(Policy, pk=pk))


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    delete_policy(get_object_or_404(Policy, pk=pk))
    return HttpResponseRedirect(reverse("policies"))


def _form(request: HttpRequest, kept: Policy | None) -> HttpResponse:
    """The form; what is wrong stands above it, and what was typed stays."""
    form = PolicyForm(request.POST if request.method == "POST" else None, kept)
    if form.is_bound and form.is_valid():
        try:
            save_policy(kept, form.changes(), form.named())
        except Refusal as refusal:
            form.add_error(None, refusal.sentence)
        else:
            return HttpResponseRedirect(reverse("policies"))
    status = 400 if form.errors else 200
    context = {"form": form, "policy": kept}
    return render(request, "backups/policy.html", context, status=status)
