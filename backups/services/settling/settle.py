"""Backups and verifications whose worker died, once what they owed is paid: how they ended, in one
sentence."""

from backups.models import Generation
from backups.services.index import failed_work
from backups.services.index.partial import PartialGeneration
from labpanel.jobs.models import Job

_NOTHING_COUNTS = "The worker died in the middle; the VM was not touched, and no copy was made."
_UNTOUCHED = "The worker died before anything was begun; nothing is left to clean up."


def backup(job: Job) -> str:
    """Whether the generation is complete, the store has said."""
    begun = job.obligations.filter(kind=PartialGeneration.KIND).first()
    key = str(begun.data["key"]) if begun else ""
    if begun is not None and (begun.sentence or Generation.objects.filter(key=key).exists()):
        return f"The worker died at the very end; generation {key} is complete."
    sentence = _NOTHING_COUNTS if begun else _UNTOUCHED
    failed_work.note_lost(job, sentence)
    return sentence


def verify(job: Job) -> str:
    """Nothing to clean up: what read ended with its connection."""
    return f"The worker died while it verified {job.parameters['generation']}; verify it again."
