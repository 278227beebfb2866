"""One turn of everything that policies ask for."""

from datetime import datetime

from backups.services.policies.run_policies import run_policies
from backups.services.policies.schedule_proofs import keep_up
from backups.services.prune.schedule_prunes import thin_out
from labpanel.jobs.models import Job


def policy_turn(now: datetime) -> list[Job]:
    """Backups first, then room for the next ones, then proofs where no other job runs;
    returns the jobs it opened."""
    return [*run_policies(now), *thin_out(now), *keep_up(now)]
