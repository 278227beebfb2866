"""Hold a VM, so that nothing of it is pruned while its source is suspect, and release it again."""

from django.db import transaction
from django.utils import timezone

from backups.models import Hold
from backups.selectors.copies.holds import held
from hosts.models import VM
from labpanel.adapters.redis import bus
from labpanel.lib.actor import Actor
from labpanel.lib.printable import printable
from labpanel.lib.refusal import Refusal

LONGEST_REASON = 500


def hold(vm: VM, reason: str, by: Actor) -> Hold:
    """From now on nothing of the VM is pruned, in any store. One that is held already gets the
    reason beside those that it has. Raises Refusal."""
    reason = checked_reason(reason, "Say why nothing of it may be pruned")
    with transaction.atomic():
        VM.objects.select_for_update().get(pk=vm.pk)  # two that come at once become one hold
        kept = held(vm) or Hold(vm=vm, reason=reason, by=str(by))
        if reason not in kept.reason:
            kept.reason = f"{kept.reason}; {reason}"
        kept.save()
    bus.publish("coverage")
    return kept


def release(vm: VM, by: Actor) -> str:
    """The sentence that says what that means. Raises Refusal if it is not held."""
    kept = held(vm)
    if kept is None:
        raise Refusal(f"{vm.name} is not held.", 409)
    kept.released_at, kept.released_by = timezone.now(), str(by)
    kept.save(update_fields=["released_at", "released_by"])
    bus.publish("coverage")
    return f"{vm.name} is not held any more; its policy prunes it again."


def checked_reason(reason: str, why_asked: str) -> str:
    """One line of text. Raises Refusal."""
    reason = " ".join(reason.split()).rstrip(".")
    if not reason:
        raise Refusal(f"{why_asked}; the reason is shown with it later.")
    if len(reason) > LONGEST_REASON:
        raise Refusal(f"The reason has {LONGEST_REASON} characters at most.")
    return printable(reason)
