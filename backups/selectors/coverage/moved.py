"""When a VM last came to its host."""

from datetime import datetime

from django.db.models import Max

from backups.models import Generation
from hosts.models import VM
from labpanel.jobs.models import Job
from labpanel.jobs.states import State


def last_moved(vm: VM) -> datetime | None:
    """When a move of the panel's brought it last, or when it was last backed up on another host,
    since it has come here after that; None if neither is known."""
    moves = Job.objects.filter(kind="move", state=State.DONE, subject=f"vm:{vm.uuid}")
    elsewhere = Generation.objects.filter(vm_uuid=vm.uuid).exclude(source_host=vm.host.name)
    known = (
        moves.aggregate(last=Max("ended_at"))["last"],
        elsewhere.aggregate(last=Max("taken_at"))["last"],
    )
    return max((at for at in known if at is not None), default=None)
