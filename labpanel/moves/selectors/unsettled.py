"""Moves that ended without knowing where the VM is."""

from django.db.models import QuerySet

from labpanel.jobs.models import Job
from labpanel.jobs.states import FINAL


def unsettled(uuid: str = "") -> QuerySet[Job]:
    """Of one VM, or all: ended moves whose hosts are still to be asked, oldest first."""
    found = Job.objects.filter(kind="move", state__in=FINAL, state_data__open=True)
    if uuid:
        found = found.filter(subject=f"vm:{uuid}")
    return found.order_by("pk")
