"""Which task does a kind of job, and which function settles one whose worker died.

Names, not imports: the ledger lies below the services that use it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """`task` is a Celery task that takes the job's id. `settle` is the dotted name of a function
    (job) → sentence, which asks the real hosts what is true and cleans up."""

    task: str
    settle: str
    queue: str = "long"


# Jobs that one wish opened: no worker claims it. groups.py
GROUP = "group"

KINDS: dict[str, Kind] = {
    "backup": Kind("backups.tasks.back_up", "backups.services.settling.settle.backup"),
    "verify": Kind("backups.tasks.verify", "backups.services.settling.settle.verify"),
    "restore": Kind("backups.tasks.restore", "backups.services.restore.settle.restore"),
    "prune": Kind("backups.tasks.prune", "backups.services.prune.prune.settle"),
    "mend": Kind("backups.tasks.mend", "backups.services.proof.mend.settle"),
    "rehearse": Kind("backups.tasks.rehearse", "backups.services.rehearsal.rehearse.settle"),
    "instant": Kind("backups.tasks.run_instant", "backups.services.instant.settle.settle"),
    "remove": Kind("backups.tasks.remove_vm", "backups.services.made_vms.remove_vm.settle"),
    "move": Kind("labpanel.moves.tasks.move", "labpanel.moves.services.settle.move"),
    "power": Kind("hosts.tasks.power", "hosts.services.vms.power.settle", "quick"),
}
