"""Policies: what is saved by itself, and what became of it."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from backups.models import Policy, Store
from backups.selectors.policy_rows import policy_list, without_policy
from backups.services.delete_policy import delete_policy
from backups.services.save_policy import save_policy
from backups.services.story_policy import story_policy
from backups.views.policy_form import PolicyForm
from labpanel.jobs.acting import lead_to, refuse
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
def story(request: HttpRequest) -> HttpResponse:
    try:
        story_policy()
    except Refusal as refusal:
        return refuse(request, refusal.sentence, refusal.status)
    return lead_to(request, reverse("policies"))


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    return _form(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
def policy(request: HttpRequest, pk: int) -> HttpResponse:
    return _form(request, get_object_or_404(Policy, pk=pk))


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    delete_policy(get_object_or_404(Policy, pk=pk))
    return lead_to(request, reverse("policies"))


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
