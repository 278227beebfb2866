"""One odd VM or disk of a host: put aside and told, and nothing else of the host changes."""

import pytest

from hosts.models import VM, Finding, Host
from hosts.services.inventory import inventory
from hosts.services.inventory.inventory import take_inventory
from hosts.services.machines import probe
from tests.fakes import host_facts as made
from tests.services.looked import HOME, LATER, NOW, WEB, Ground

DISKS = {"vda": "/srv/images/a.qcow2", "vdb": "/srv/images/b.qcow2"}


@pytest.fixture
def alpha(ground: Ground) -> Host:
    """Two VMs that were seen whole."""
    ground.libvirt.put("alpha", HOME, "home", disks=DISKS)
    ground.libvirt.put("alpha", WEB, "web", disks=DISKS)
    return ground.look(ground.alpha)


def told(host: Host) -> str:
    return Finding.objects.get(
        host=host, kind="answer", subject="libvirt", resolved_at=None
    ).sentence


@pytest.mark.parametrize(
    "change",
    [
        {"xml": "<domain"},
        {"xml": "<!DOCTYPE d><domain/>"},
        {"xml": "", "inactive_xml": ""},
        {"xml": "<a>" * 100_000},
        {"name": "x\x1b[2J"},
        {"name": "n" * 300},
        {"state": "running"},
        {"persistent": None},
    ],
)
def test_an_odd_vm_stays_as_it_was_and_the_others_go_on(
    ground: Ground, alpha: Host, change: dict[str, object]
) -> None:
    ground.libvirt.hosts["alpha"][0].update(change)
    ground.libvirt.put("alpha", WEB, "web", "paused", disks=DISKS)
    ground.look(alpha, LATER)
    assert VM.objects.get(uuid=WEB).state == "paused"
    odd = VM.objects.get(uuid=HOME)
    assert (odd.name, odd.missing_since, odd.seen_at) == ("home", None, NOW)
    assert "of alpha gave an answer that makes no sense" in told(alpha)
    assert alpha.libvirt_failing_since is None


def test_where_a_uuid_cannot_be_read_no_vm_is_said_to_be_gone(ground: Ground, alpha: Host) -> None:
    ground.libvirt.hosts["alpha"][0]["uuid"] = "../../etc"
    ground.look(alpha, LATER)
    assert not VM.objects.exclude(missing_since=None).exists()
    assert told(alpha) == (
        "The VM home of alpha gave an answer that makes no sense: its UUID is none."
    )
    ground.libvirt.put("alpha", HOME, "home", disks=DISKS)
    ground.libvirt.hosts["alpha"].pop(0)
    ground.look(alpha, LATER.replace(minute=45))
    assert not Finding.objects.filter(kind="answer", resolved_at=None).exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dev='vdb'", "dev='../victim'"),
        ("file='/srv/images/b.qcow2'", f"file='/{'b' * 5000}'"),
        ("dev='vdb'", f"dev='{'v' * 33}'"),
    ],
)
def test_an_odd_disk_takes_no_other_along(ground: Ground, alpha: Host, old: str, new: str) -> None:
    report = ground.libvirt.hosts["alpha"][0]
    for name in ("xml", "inactive_xml"):
        report[name] = report[name].replace(old, new)
    ground.look(alpha, LATER)
    disks = VM.objects.get(uuid=HOME).disks.filter(missing_since=None)
    assert sorted(disks.values_list("target", flat=True)) == ["vda", "vdb"]
    assert told(alpha).startswith("The disk ")
    assert "of home of alpha gave an answer that makes no sense" in told(alpha)


@pytest.mark.parametrize("answer", [None, {}, "x", 5, [[]] * 2000])
def test_an_answer_that_is_no_inventory_changes_nothing(
    ground: Ground, alpha: Host, answer: object
) -> None:
    ground.libvirt.hosts["alpha"] = answer  # type: ignore[assignment]
    assert take_inventory(alpha, LATER) is False
    assert VM.objects.filter(missing_since=None).count() == 2
    alpha.refresh_from_db()
    assert alpha.libvirt_error.startswith("libvirt on alpha gave an answer that makes no sense: ")


def test_a_host_that_names_others_at_each_look_fills_no_database(
    ground: Ground, alpha: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "MOST_KNOWN", 5)
    monkeypatch.setattr(probe, "MOST_KNOWN", 5)
    for number in range(10):
        uuid = f"00000000-0000-4000-8000-{number:012}"
        ground.libvirt.hosts["alpha"] = []
        ground.libvirt.put("alpha", uuid, f"vm{number}")
        ground.machine.said = made.said(mounts=[made.mount(f"/m{number}", "sda1", "sda")])
        ground.look(alpha, LATER.replace(minute=number))
    assert alpha.vms.count() == 5
    assert alpha.file_systems.count() == 5
    assert told(alpha) == "alpha has named more than 5 VMs: no new one is noted."
