"""How a backup ended, in a sentence, when its generation is complete."""

from backups.models import Generation
from backups.rules.spans import spelled
from backups.services.hold import LONGEST_REASON, hold
from hosts.models import VM
from labpanel.jobs.work import Failed
from labpanel.lib.units import count


def judge(vm: VM, generation: Generation) -> None:
    """A generation that lacks what its source could not read is kept, but the job has failed, and
    the VM is held: its older generations are all that may be left."""
    lacking = [disk for disk in generation.manifest["disks"] if disk.get("unreadable")]
    if not lacking:
        return
    what = "; ".join(f"{disk['target']} at {spelled(disk['unreadable'])}" for disk in lacking)
    what = f"{vm.host.name} cannot read all of {vm.name}: {what}"
    hold(vm, what[:LONGEST_REASON], by="labpanel")
    raise Failed(
        f"{what}. What can be read is kept as generation {generation.key}, marked damaged; nothing "
        f"older was replaced, and nothing of {vm.name} is pruned until you release it. "
        f"Look at that drive now."
    )


def sentence(generation: Generation) -> str:
    """What was kept; and loudly what QEMU's bitmap had missed."""
    disks = count(generation.disks.count(), "disk")
    kept = (
        f"{generation.vm_name} is backed up to {generation.store.name}: "
        f"{disks}, {generation.consistency}, generation {generation.key}."
    )
    missed = [disk for disk in generation.manifest["disks"] if disk.get("missed")]
    if not missed:
        return kept
    what = "; ".join(f"{disk['target']} at {spelled(disk['missed'])}" for disk in missed)
    return (
        f"{kept} Alarm: QEMU's record had missed changes ({what}). They are kept now, but "
        f"incremental backups of this VM since the last deep run may lack them."
    )
