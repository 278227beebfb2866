"""Say of a trouble that it was seen. One that stands until then ends by it; any other goes on."""

from django.db import transaction
from django.utils import timezone

from hosts.models import Finding
from hosts.services.checks import recorder
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal

_LARGEST = 2**63 - 1


def acknowledge(number: int, by: Actor) -> str:
    """The sentence that says what that means. Raises Refusal of one that is over, or that ends
    only when it is mended."""
    with transaction.atomic():
        finding = Finding.objects.select_for_update().filter(pk=min(number, _LARGEST)).first()
        if finding is None:
            raise Refusal(f"There is no incident {number}.", 404)
        if finding.resolved_at is not None:
            raise Refusal(f"Incident {number} is over already: {finding.sentence}.", 409)
        if not finding.until_seen:
            raise Refusal(
                f"Incident {number} ends when its cause is mended, not before: {finding.sentence}.",
                409,
            )
        recorder.end_as_seen(finding, str(by), timezone.now())
    return f"Noted as seen by {finding.ended_by}: {finding.sentence}."
