"""What a refused or failed step means for a restore: what failed, and what is left."""

from backups.services.restore.settle import OpenReplacement
from hosts.models import Host
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs.work import Failed, Work
from labpanel.lib.quoted import ended
from labpanel.lib.units import listed

_DAMAGED = {"digest", "digests", "read", "source", "unreadable"}
_BROKEN = {"write", "stalled", "nbd"}


def explained(error: ScriptRefused, work: Work, host: Host) -> Failed:
    asked = work.job.parameters
    name, keys = asked["name"], sorted(set(asked["disks"].values()))
    what = error.sentence
    if error.code in _DAMAGED:
        which = "Generation" if len(keys) == 1 else "One of the generations"
        what = f"{which} {listed(keys)} is damaged: {error.sentence}"
    elif error.code == "full":
        what = f"{host.name} has no room left for {name}'s disks."
    elif error.code in _BROKEN:
        what = f"The connection from the store to {host.name} was lost."
    left = f"Nothing of {name} was left on {host.name}."
    if asked["in_place"]:
        left = (
            f"The new disks are whole, and are put in place as soon as {host.name} is reachable."
            if any(left.ready for _, left in work.owes(OpenReplacement))
            else f"{name} on {host.name} is as it was."
        )
    return Failed(f"{ended(what)} {left}", f"{error.code} {error.detail}")
