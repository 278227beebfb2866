"""What speaks against a move: every reason, in words, at once."""

import dataclasses
from typing import Any

import pytest

from hosts.rules.placement import fit
from hosts.rules.placement.placement import rank
from labpanel.lib.moving import (
    DomainNeeds,
    DomainNow,
    MoveTarget,
    MovingDisk,
    OpenFinding,
    Space,
    Thing,
)

GIB = 1 << 30
DISK = MovingDisk("vda", "file", "/srv/images/web.qcow2", "qcow2", 8 * GIB, 2 * GIB)
WEB = DomainNeeds(
    name="web",
    uuid="u-web",
    arch="x86_64",
    machine="pc-i440fx-7.2",
    emulator="/usr/bin/qemu-system-x86_64",
    emulated=False,
    cpu="<cpu/>",
    cpu_mode="custom",
    memory_bytes=GIB,
    disks=(DISK,),
    bridges=("br0",),
    networks=("default",),
    things=(Thing("/usr/share/OVMF/OVMF_CODE.fd", "the firmware /usr/share/OVMF/OVMF_CODE.fd"),),
    volumes=(("isos", "tools"),),
)
ON = DomainNow(active=True, state="running", libvirt=9_000_000, qemu=7_002_000)
OFF = dataclasses.replace(ON, active=False, state="shut off")
BETA = MoveTarget(
    name="beta",
    paths={DISK.source: DISK.source},
    spaces=(Space("/srv/images", 10 * GIB, fit.wanted_bytes(DISK.allocated)),),
    memory_available=4 * GIB,
    networks=frozenset({"default"}),
    bridges=frozenset({"br0"}),
    libvirt=9_000_000,
    qemu=7_002_000,
)


def sentences(found: list[Any], *, blocking: bool) -> list[str]:
    return [one.sentence for one in found if one.blocking is blocking]


def test_nothing_speaks_against_a_plain_vm_and_a_well_host() -> None:
    assert fit.of_vm(WEB, ON, "alpha", []) == []
    assert fit.of_target(WEB, ON, BETA) == []


@pytest.mark.parametrize(
    ("vm", "now", "words"),
    [
        ({}, {"busy": True}, "already runs a job"),
        ({}, {"persistent": False}, "transient"),
        ({}, {"managed_save": True}, "memory saved to disk"),
        ({}, {"snapshots": 1}, "1 snapshot,"),
        ({}, {"snapshots": 3}, "3 snapshots,"),
        ({}, {"state": "crashed"}, "is crashed"),
        ({"passthrough": ("a passed-through pci device",)}, {}, "bound to its host"),
        ({"tpm": True}, {"active": False, "state": "shut off"}, "TPM"),
        ({"disks": (dataclasses.replace(DISK, kind="block"),)}, {}, "block disk"),
        ({"disks": (dataclasses.replace(DISK, format="vmdk"),)}, {}, "format vmdk"),
        ({"disks": (dataclasses.replace(DISK, shareable=True),)}, {}, "shared with other VMs"),
        (
            {"disks": (dataclasses.replace(DISK, encrypted=True),)},
            {},
            "key is known to alpha alone",
        ),
        (
            {"disks": (dataclasses.replace(DISK, encrypted=True, format="raw"),)},
            {"active": False, "state": "shut off"},
            "plain text",
        ),
        ({"disks": (dataclasses.replace(DISK, sliced=True),)}, {}, "larger file (slices)"),
        ({"disks": (dataclasses.replace(DISK, data_elsewhere=True),)}, {}, "in another file"),
        ({"disks": (dataclasses.replace(DISK, corrupt=True),)}, {}, "marked as corrupt by QEMU"),
        ({"disks": (dataclasses.replace(DISK, transient=True),)}, {}, "is transient"),
        (
            {"disks": (dataclasses.replace(DISK, stacked=True),)},
            {"active": False, "state": "shut off"},
            "start the VM",
        ),
    ],
)
def test_the_vm_itself_may_not_travel(vm: dict[str, Any], now: dict[str, Any], words: str) -> None:
    found = fit.of_vm(dataclasses.replace(WEB, **vm), dataclasses.replace(ON, **now), "alpha", [])
    (sentence,) = sentences(found, blocking=True)
    assert words in sentence


def test_a_transient_disk_travels_while_its_vm_is_off() -> None:
    vm = dataclasses.replace(WEB, disks=(dataclasses.replace(DISK, transient=True),))
    assert fit.of_vm(vm, OFF, "alpha", []) == []


@pytest.mark.parametrize("now", [ON, OFF])
def test_snapshots_inside_an_image_are_said_and_hold_nothing_back(now: DomainNow) -> None:
    disk = dataclasses.replace(DISK, inside=("before-upgrade", "1 more"))
    found = fit.of_vm(dataclasses.replace(WEB, disks=(disk,)), now, "alpha", [])
    assert sentences(found, blocking=True) == []
    assert sentences(found, blocking=False) == [
        "vda of web has snapshots inside its image (before-upgrade, 1 more); they stay behind, in "
        "the image that is kept on alpha."
    ]


def test_a_medium_of_any_kind_is_no_image_to_move() -> None:
    medium = dataclasses.replace(DISK, medium=True, encrypted=True, sliced=True)
    assert fit.of_vm(dataclasses.replace(WEB, disks=(DISK, medium)), ON, "alpha", []) == []


def test_a_device_of_its_host_holds_back_only_what_runs() -> None:
    """Of a VM that is off, the description says it, and the owner's word is asked for."""
    vm = dataclasses.replace(WEB, passthrough=("a shared folder (hostsrv)",))
    (sentence,) = sentences(fit.of_vm(vm, ON, "alpha", []), blocking=True)
    assert "a shared folder (hostsrv), which is bound to its host; shut web down" in sentence
    assert fit.of_vm(vm, OFF, "alpha", []) == []


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"error": "beta does not answer."}, "does not answer"),
        ({"root": False}, "as root"),
        ({"troubles": (OpenFinding("sda fails.", bad=True, kind="drive"),)}, "sda fails"),
        ({"uuids": frozenset({"u-web"}), "names": frozenset({"web"})}, "UUID of web"),
        ({"names": frozenset({"web"})}, "another VM named web"),
        ({"taken": frozenset({"/srv/images/web.qcow2"})}, "exists already"),
        ({"spaces": (Space("/srv", GIB, 2 * GIB),)}, "1024 MiB free; 2048 MiB are needed"),
        ({"spaces": (Space("/srv", 9 * GIB, GIB, read_only=True),)}, "read-only"),
        ({"memory_available": GIB // 2}, "512 MiB of memory"),
        ({"networks": frozenset()}, "network default"),
        ({"bridges": frozenset()}, "bridge br0"),
        ({"machine": "unknown machine"}, "machine type pc-i440fx-7.2"),
        ({"cpu": "features are missing"}, "CPU of beta"),
        ({"missing": frozenset({"/usr/share/OVMF/OVMF_CODE.fd"})}, "needs it"),
        ({"missing_programs": frozenset({"qemu-img"})}, "qemu-img is missing"),
        ({"missing_volumes": frozenset({("isos", "tools")})}, "volume tools of the storage pool"),
    ],
)
def test_a_host_may_not_take_it(target: dict[str, Any], words: str) -> None:
    found = fit.of_target(WEB, ON, dataclasses.replace(BETA, **target))
    (sentence,) = sentences(found, blocking=True)
    assert words in sentence


def test_all_reasons_come_at_once() -> None:
    beta = dataclasses.replace(
        BETA, names=frozenset({"web"}), bridges=frozenset(), memory_available=0
    )
    assert len(sentences(fit.of_target(WEB, ON, beta), blocking=True)) == 3


def test_a_tenth_more_than_the_image_takes_is_wanted() -> None:
    wanted = fit.wanted_bytes(2 * GIB)
    exactly = dataclasses.replace(BETA, spaces=(Space("/srv", wanted, wanted),))
    less = dataclasses.replace(BETA, spaces=(Space("/srv", wanted - 1, wanted),))
    assert wanted == 2 * GIB + 2 * GIB // 10
    assert not fit.blocked(fit.of_target(WEB, ON, exactly))
    assert fit.blocked(fit.of_target(WEB, ON, less))


def test_a_suspect_source_is_not_copied_plainly() -> None:
    suspect = OpenFinding("sda of alpha fails.", bad=True, kind="drive", touches=True)
    (sentence,) = sentences(fit.of_vm(WEB, ON, "alpha", [suspect]), blocking=True)
    assert "sda of alpha fails" in sentence
    assert "newest generation" in sentence


def test_trouble_of_the_source_that_does_not_touch_the_vm_is_no_obstacle() -> None:
    elsewhere = OpenFinding("sdb of alpha fails.", bad=True, kind="drive")
    assert fit.of_vm(WEB, ON, "alpha", [elsewhere]) == []


def test_what_only_has_to_be_known_does_not_block() -> None:
    cdrom = MovingDisk("sda", "file", "/srv/iso/debian.iso", "raw", medium=True, read_only=True)
    vm = dataclasses.replace(WEB, disks=(DISK, cdrom), cpu_mode="host-passthrough")
    beta = dataclasses.replace(
        BETA,
        missing=frozenset({"/srv/iso/debian.iso"}),
        qemu=7_001_000,
        troubles=(OpenFinding("/srv/store is full.", True, "file-system", "/srv/store"),),
    )
    found = fit.of_target(vm, ON, beta)
    assert sentences(found, blocking=True) == []
    assert [word in " ".join(sentences(found, blocking=False)) for word in (
        "sda will be empty", "same model", "older QEMU", "/srv/store is full"
    )] == [True] * 4  # fmt: skip


def test_an_emulated_cpu_fits_everywhere() -> None:
    vm = dataclasses.replace(WEB, emulated=True)
    assert fit.of_target(vm, ON, dataclasses.replace(BETA, cpu="features are missing")) == []


def test_memory_does_not_matter_to_a_vm_that_is_off() -> None:
    beta = dataclasses.replace(BETA, memory_available=0)
    assert sentences(fit.of_target(WEB, OFF, beta), blocking=True) == []


def test_placement_puts_health_before_room() -> None:
    def named(name: str, **fields: Any) -> MoveTarget:
        return dataclasses.replace(BETA, name=name, **fields)

    hosts = [
        named("gone", error="gone does not answer."),
        named("small", spaces=(Space("/srv", 3 * GIB, 2 * GIB),)),
        named(
            "worried",
            spaces=(Space("/srv", 900 * GIB, 2 * GIB),),
            troubles=(OpenFinding("sda grows old.", bad=False, kind="drive"),),
        ),
        named("large", spaces=(Space("/srv", 90 * GIB, 2 * GIB),)),
    ]
    ranked = rank((host, fit.of_target(WEB, ON, host)) for host in hosts)
    assert [one.target.name for one in ranked] == ["large", "small", "worried", "gone"]
    assert ranked[0].fits
    assert ranked[0].reasons[:2] == ("well", "88.0 GiB of disk left afterwards")
    assert not ranked[3].fits
