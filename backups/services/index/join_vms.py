"""Join generations with VMs that the panel came to know after them."""

from backups.models import Generation
from hosts.models import VM


def join_vms() -> int:
    """How many were joined. A store that was taken up before the VM's host was added (a panel
    rebuilt from its stores) has rows of no VM: without one, no policy and no guest is asked."""
    loose = Generation.objects.filter(vm=None).values_list("vm_uuid", flat=True).distinct()
    joined = 0
    for vm in VM.objects.filter(uuid__in=list(loose)).only("pk", "uuid"):
        joined += Generation.objects.filter(vm=None, vm_uuid=vm.uuid).update(vm=vm)
    return joined
