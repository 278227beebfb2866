"""Moves that ended without knowing where the VM is."""

from django.db.models import QuerySet

from labpanel.jobs.models import Job, Obligation
from labpanel.jobs.states import FINAL


def unsettled(uuid: str = "") -> QuerySet[Job]:
    """Of one VM, or all: ended moves whose hosts are still to be asked, oldest first."""
    owed = Obligation.objects.filter(kind="move", paid_at=None)
    found = Job.objects.filter(kind="move", state__in=FINAL, pk__in=owed.values("job"))
    if uuid:
        found = found.filter(subject=f"vm:{uuid}")
    return found.order_by("pk")
