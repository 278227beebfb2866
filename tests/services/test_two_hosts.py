"""A host that reports another one's VM gets nothing by it, and is told of."""

from uuid import uuid4

import pytest

from backups.models import Store
from backups.services.backup.back_up import ask_for_backup, back_up
from backups.services.prune.prune import ask_for_prune, prune
from hosts.models import VM, Finding, Host
from hosts.selectors.two_hosts import held_back
from hosts.services.inventory.claims import hand_over
from hosts.services.machines.remove_host import remove
from labpanel.adapters.errors import TimedOut, Unreachable
from labpanel.jobs import ledger
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal
from tests.services.looked import LATER, NOW, WEB, Ground

pytestmark = pytest.mark.django_db
LATER_STILL = LATER - NOW
TWO = "Two hosts have the VM web: alpha and beta."


def _store() -> Store:
    return Store.objects.create(name="far", path="/srv/far", store_id=uuid4())


def on_both(ground: Ground, here: str = "running", there: str = "running") -> VM:
    """web is alpha's; then beta reports it as well."""
    ground.libvirt.put("alpha", WEB, "web", here)
    ground.look(ground.alpha)
    ground.libvirt.put("beta", WEB, "web", there)
    ground.look(ground.beta, LATER)
    return VM.objects.get()


def open_ones() -> list[str]:
    return [one.sentence for one in Finding.objects.filter(kind="two-hosts", resolved_at=None)]


@pytest.mark.parametrize("here", ["running", "shut off", "paused", "crashed"])
@pytest.mark.parametrize("there", ["running", "shut off"])
def test_a_report_takes_no_vm_from_a_host_that_has_it(
    ground: Ground, here: str, there: str
) -> None:
    vm = on_both(ground, here, there)
    assert (vm.host, vm.state, open_ones()) == (ground.alpha, here, [TWO])
    ground.look(ground.alpha, LATER)
    ground.look(ground.beta, LATER)
    assert (VM.objects.get().host, open_ones()) == (ground.alpha, [TWO])
    assert list(Finding.objects.get(kind="two-hosts").vms.all()) == [vm]


@pytest.mark.parametrize("silent", ["host", "libvirt"])
def test_a_host_that_does_not_answer_loses_no_vm(ground: Ground, silent: str) -> None:
    ground.libvirt.put("alpha", WEB, "web")
    ground.look(ground.alpha)
    if silent == "host":
        ground.machine.fails = Unreachable("alpha does not answer over SSH.")
    else:
        ground.libvirt.fails["inventory"] = TimedOut("libvirt on alpha gave no answer.")
    ground.look(ground.alpha, LATER)
    ground.machine.fails = None
    ground.libvirt.fails.clear()
    ground.libvirt.put("beta", WEB, "web")
    ground.look(ground.beta, LATER)
    assert (VM.objects.get().host, open_ones()) == (ground.alpha, [TWO])


def test_it_is_over_when_one_of_them_no_longer_has_it(ground: Ground) -> None:
    on_both(ground)
    ground.libvirt.take("beta", WEB)
    ground.look(ground.beta, LATER)
    assert (VM.objects.get().host, open_ones()) == (ground.alpha, [])
    ground.libvirt.put("beta", WEB, "web")
    ground.look(ground.beta, LATER)
    assert open_ones() == [TWO]
    ground.libvirt.take("alpha", WEB)
    ground.look(ground.alpha, LATER)
    ground.look(ground.beta, LATER)
    assert (VM.objects.get().host, open_ones()) == (ground.beta, [])


def test_a_silent_claimant_takes_nothing_back(ground: Ground) -> None:
    on_both(ground)
    ground.libvirt.fails["inventory"] = TimedOut("libvirt on beta gave no answer.")
    ground.look(ground.beta, LATER)
    assert open_ones() == [TWO]


def test_removing_the_dead_host_is_the_owners_word(ground: Ground) -> None:
    on_both(ground)
    remove(ground.alpha)
    ground.look(ground.beta, LATER)
    assert (VM.objects.get().host, open_ones()) == (ground.beta, [])


def test_what_a_job_brought_stays_when_the_old_host_comes_back(ground: Ground) -> None:
    ground.libvirt.put("alpha", WEB, "web")
    ground.look(ground.alpha)
    ground.libvirt.put("beta", WEB, "web")
    hand_over(WEB, ground.beta)
    ground.look(ground.beta, LATER)
    assert (VM.objects.get().host, open_ones()) == (ground.beta, [])
    ground.look(ground.alpha, LATER)
    assert VM.objects.get().host == ground.beta
    assert open_ones() == ["Two hosts have the VM web: beta and alpha."]


@pytest.mark.parametrize(
    "arrived", ["/srv/images/web.qcow2", "/srv/images/elsewhere/web.qcow2", "/srv/images/other"]
)
def test_what_a_job_brought_has_the_disks_that_it_had(ground: Ground, arrived: str) -> None:
    """Also where its images lie in another folder there: they are no new disks."""
    ground.libvirt.put("alpha", WEB, "web", disks={"vda": "/srv/images/web.qcow2"})
    ground.look(ground.alpha)
    ground.libvirt.put("beta", WEB, "web", disks={"vda": arrived})
    hand_over(WEB, ground.beta)
    ground.look(ground.beta, LATER)
    disk = VM.objects.get().disks.get()
    assert (disk.source, disk.first_seen_at) == (arrived, NOW)
    ground.libvirt.put("beta", WEB, "web", disks={"vda": "/srv/images/replaced"})
    ground.look(ground.beta, LATER + LATER_STILL)
    assert VM.objects.get().disks.get().first_seen_at == LATER + LATER_STILL


def test_a_move_under_way_is_no_contradiction(ground: Ground) -> None:
    ground.libvirt.put("alpha", WEB, "web")
    ground.look(ground.alpha)
    ledger.open_job("move", "Move web", subject=f"vm:{WEB}", parameters={"to": "beta"})
    ground.libvirt.put("beta", WEB, "web", "shut off")
    ground.look(ground.beta, LATER)
    assert open_ones() == []
    gamma = Host.objects.create(name="gamma", target="root@gamma", host_key="k c")
    ground.libvirt.put("gamma", WEB, "web")
    ground.look(gamma, LATER)
    assert open_ones() == ["Two hosts have the VM web: alpha and gamma."]


def test_nothing_is_written_for_or_over_it_meanwhile(ground: Ground) -> None:
    ground.libvirt.put("alpha", WEB, "web")
    ground.look(ground.alpha)
    vm, store = VM.objects.get(), _store()
    asked = ask_for_backup(vm, store)
    on_both(ground)
    assert held_back(vm).startswith(TWO)
    with pytest.raises(Failed, match="web was not backed up. Two hosts have the VM web"):
        back_up(Work(asked))
    asked.delete()
    with pytest.raises(Refusal, match="web is not backed up now. Two hosts have the VM web"):
        ask_for_backup(vm, store)
    with pytest.raises(Refusal, match="Nothing of web is pruned in far. Two hosts have the VM"):
        ask_for_prune(vm, store)
    ground.libvirt.take("beta", WEB)
    ground.look(ground.beta, LATER)
    job = ask_for_prune(vm, store)
    ground.libvirt.put("beta", WEB, "web")
    ground.look(ground.beta, LATER)
    with pytest.raises(Failed, match="Nothing of web is pruned in far. Two hosts have the VM"):
        prune(Work(job))
    assert held_back(VM(uuid=WEB[:-1] + "9", name="other")) == ""
