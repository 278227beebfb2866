"""Protect one generation from pruning, with the reason, for as long as its owner wants."""

from backups.models import Generation
from backups.services.index.hold import checked_reason
from labpanel.adapters.redis import bus
from labpanel.lib.refusal import Refusal


def protect(generation: Generation, reason: str) -> str:
    """The sentence that says so; a protected one gets the new reason. Raises Refusal."""
    generation.protected_because = checked_reason(reason, "Say why it must stay")
    generation.save(update_fields=["protected_because"])
    bus.publish("coverage")
    return f"{generation.key} of {generation.vm_name} is kept: {generation.protected_because}."


def unprotect(generation: Generation) -> str:
    """From now on its policy says whether it stays. Raises Refusal if it was not protected."""
    if not generation.protected_because:
        raise Refusal(f"{generation.key} is not protected.", 409)
    generation.protected_because = ""
    generation.save(update_fields=["protected_because"])
    bus.publish("coverage")
    return f"{generation.key} of {generation.vm_name} goes when its policy says so."
