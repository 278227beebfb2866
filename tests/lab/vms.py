"""VMs that a test made, and whether one answers."""

from lab.agent import exec_in_guest
from lab.commands import LabError
from lab.state import Lab
from lab.virsh import inside, virsh


def remove_vm(lab: Lab, host: str, name: str) -> None:
    """The VM and its disks."""
    layout = lab.layout.host(host)
    disks = virsh(layout, "domblklist", "--details", name, check=False)
    virsh(layout, "destroy", name, check=False)
    virsh(layout, "undefine", name, "--checkpoints-metadata", check=False)
    paths = [line.split(None, 3)[3] for line in disks.splitlines() if " disk " in line]
    inside(layout, ["rm", "-f", "--", *paths])


def answering(lab: Lab, host: str, name: str) -> bool:
    """Whether its agent answers; False while it boots."""
    try:
        return exec_in_guest(lab, host, name, ["/bin/true"]).returncode == 0
    except LabError:
        return False
