"""Moves whose worker died, once both hosts were asked: where the VM is, in one sentence."""

from labpanel.jobs.models import Job
from labpanel.moves.services.owed import OpenMove


def move(job: Job) -> str:
    """Where that cannot be established now, it stays owed, and a later turn asks again."""
    begun = job.obligations.filter(kind=OpenMove.KIND).first()
    if begun is None:
        return "The worker died before anything was begun; the VM is where it was."
    return f"The worker died in the middle. {begun.sentence}".rstrip()
