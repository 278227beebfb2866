"""Disks that are not one plain image, on two real hosts: LUKS, a part of a file, a passed-on SCSI
disk, a data file, snapshots inside an image, QEMU's mark, what is only read, media by https.

Each is kept whole and comes back so that libvirt takes it, or is refused with the reason.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.layout import Host
from lab.state import Lab
from lab.virsh import define, inside, states, virsh
from tests.lab.panels import Panel
from tests.lab.vms import remove_vm

pytestmark = pytest.mark.timeout(600)
Eventually = Callable[..., Any]
IMAGES = "/srv/images/odd"
SECRET = "11111111-2222-3333-4444-555555555555"
# Two disks that QEMU encrypts, and what lies in them; a slice; a data file; marks and snapshots.
MAKE = f"""
mkdir -p {IMAGES}/boot && cd {IMAGES}
printf secretword >pw
secret=secret,id=s0,file={IMAGES}/pw
# QEMU times its own hashing for this, and gives up where the machine has no time to spare.
again() {{ for try in $(seq 30); do "$@" 2>/dev/null && return; sleep 0.2; done; "$@"; }}
again qemu-img create -q --object $secret -f qcow2 \
    -o encrypt.format=luks,encrypt.key-secret=s0,encrypt.iter-time=100 luksq.qcow2 8M
again qemu-img create -q --object $secret -f luks -o key-secret=s0,iter-time=100 luksr.img 8M
qemu-img create -q --object $secret -f qcow2 -b luksq.qcow2 -F qcow2 -u luksover.qcow2 8M
truncate -s 8M lun.img
printf lun-data | dd of=lun.img conv=notrunc bs=1 seek=4096 status=none
truncate -s 16M two-in-one.img
printf SLICE-DATA-HERE! | dd of=two-in-one.img bs=1 seek=1048576 conv=notrunc status=none
for name in snap marked readonly media direct; do
    qemu-img create -q -f qcow2 $name.qcow2 8M
    qemu-io -c 'write -q -P 0x43 0 1M' $name.qcow2
done
qemu-img snapshot -c before-upgrade snap.qcow2
qemu-img snapshot -c 'two words' snap.qcow2
qemu-img create -q -f qcow2 -b marked.qcow2 -F qcow2 over.qcow2
printf '\\002' | dd of=marked.qcow2 bs=1 seek=79 conv=notrunc status=none
qemu-img create -q -f qcow2 -o data_file={IMAGES}/ext.data,data_file_raw=on ext.qcow2 8M
qemu-io -c 'write -q -P 0x44 0 1M' ext.qcow2
truncate -s 4M ro-b.img
echo k >boot/vmlinuz
losetup -f --show lun.img >lun.device
"""
UNMAKE = f"losetup -d $(cat {IMAGES}/lun.device); rm -rf {IMAGES}"
KEY = (
    f"<secret ephemeral='no' private='no'><uuid>{SECRET}</uuid>"
    "<usage type='volume'><volume>odd</volume></usage></secret>"
)
LUKS = f"<encryption format='luks'><secret type='passphrase' uuid='{SECRET}'/></encryption>"
SLICE = "<slices><slice type='storage' offset='1048576' size='4194304'/></slices>"
HTTPS = (
    "<disk type='network' device='cdrom'><driver name='qemu' type='raw'/>"
    "<source protocol='https' name='iso/x.iso'><host name='192.0.2.9' port='443'/></source>"
    "<target dev='hdc' bus='ide'/><readonly/></disk>"
)
ENCRYPTED = ("luksq", "luksr", "luksover")


def disk(name: str, form: str = "qcow2", inside: str = "", beside: str = "") -> str:
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='{form}'/>"
        f"<source file='{IMAGES}/{name}'>{inside}</source>{beside}"
        "<target dev='vda' bus='virtio'/></disk>"
    )


def domain(name: str, devices: str, system: str = "") -> str:
    return (
        f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>"
        f"<os><type arch='x86_64' machine='pc'>hvm</type>{system}</os>"
        "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model>"
        f"</cpu><devices>{devices}</devices></domain>"
    )


def vms(device: str) -> dict[str, str]:
    lun = (
        "<controller type='scsi' index='0' model='virtio-scsi'/><disk type='block' device='lun'>"
        f"<driver name='qemu' type='raw'/><source dev='{device}'/>"
        "<target dev='sda' bus='scsi'/></disk>"
    )
    lent = disk("ro-b.img", "raw").replace("vda", "vdb").replace("</disk>", "<readonly/></disk>")
    below = f"<backingStore type='file'><format type='qcow2'/><source file='{IMAGES}/luksq.qcow2'>"
    return {
        "luksq": disk("luksq.qcow2", inside=LUKS),
        "luksr": disk("luksr.img", "raw", beside=LUKS),
        "luksover": disk(
            "luksover.qcow2", beside=f"{below}{LUKS}</source><backingStore/></backingStore>"
        ),
        "slices": disk("two-in-one.img", "raw", SLICE),
        "lun": lun,
        "ext": disk("ext.qcow2"),
        "snap": disk("snap.qcow2"),
        "marked": disk("marked.qcow2"),
        "over": disk("over.qcow2"),
        "readonly": disk("readonly.qcow2") + lent,
        "media": disk("media.qcow2") + HTTPS,
        "direct": disk("direct.qcow2"),
    }


@pytest.fixture(scope="module")
def alpha(lab: Lab) -> Host:
    return lab.layout.host("alpha")


@pytest.fixture(scope="module")
def beta(lab: Lab) -> Host:
    return lab.layout.host("beta")


@pytest.fixture(scope="module", autouse=True)
def odd(lab: Lab, panel: Panel, alpha: Host) -> Iterator[None]:
    """All of them defined on alpha, off, and seen by the panel."""
    inside(alpha, ["sh", "-euc", MAKE])
    inside(lab.layout.host("beta"), ["mkdir", "-p", IMAGES])
    names = list(vms(""))
    try:
        inside(alpha, ["virsh", "-q", "secret-define", "/dev/stdin"], text_in=KEY)
        virsh(alpha, "secret-set-value", SECRET, "--base64", "c2VjcmV0d29yZA==")
        device = inside(alpha, ["cat", f"{IMAGES}/lun.device"]).stdout.strip()
        kernel = f"<kernel>{IMAGES}/boot/vmlinuz</kernel>"
        for name, devices in vms(device).items():
            define(alpha, domain(name, devices, kernel if name == "direct" else ""))
        end = time.monotonic() + 90
        while not set(names) <= {row["name"] for row in panel.json("vm", "list")}:
            assert time.monotonic() < end, "the panel does not see them"
            time.sleep(1)
        yield
    finally:
        for name in names:
            virsh(alpha, "destroy", name, check=False)
            virsh(alpha, "undefine", name, "--checkpoints-metadata", check=False)
        virsh(alpha, "secret-undefine", SECRET, check=False)
        inside(alpha, ["sh", "-c", UNMAKE], check=False)
        inside(lab.layout.host("beta"), ["rm", "-rf", IMAGES])


@pytest.fixture
def restored(lab: Lab) -> Iterator[list[str]]:
    """Names of VMs on beta that go afterwards, with their images."""
    names: list[str] = []
    yield names
    for name in names:
        remove_vm(lab, "beta", name)


def refused(panel: Panel, *words: str) -> str:
    done = panel(*words, ok=False)
    assert done.returncode != 0
    return done.stderr + done.stdout


def backed_up(panel: Panel, vm: str) -> str:
    generation: str = panel.json("backup", vm, "--store", "far")["generation"]
    return generation


def left_out(panel: Panel, beta: Host, vm: str) -> list[tuple[str, str]]:
    """What the newest copy's manifest says, where it lies."""
    key = backed_up(panel, vm)
    found = inside(beta, ["sh", "-c", f"cat /srv/store/*/{key}/manifest.json"]).stdout
    return [(one["kind"], one["subject"]) for one in json.loads(found)["left_out"]]


def images(host: Host) -> list[str]:
    return sorted(inside(host, ["find", "/srv/images", "-type", "f"]).stdout.split())


def path_of(host: Host, vm: str) -> str:
    """Where the only disk of a VM lies."""
    (line,) = [one for one in virsh(host, "domblklist", vm).splitlines() if "/" in one]
    return line.split(None, 1)[1].strip()


def content(host: Host, vm: str) -> str:
    """SHA-256 of a VM's disk as its guest sees it."""
    script = 'qemu-img convert -O raw "$1" /tmp/odd.raw; sha256sum </tmp/odd.raw; rm /tmp/odd.raw'
    return inside(host, ["sh", "-euc", script, "sh", path_of(host, vm)]).stdout.split()[0]


def restore(panel: Panel, vm: str, *more: str, key: str = "") -> Any:
    """The newest copy of a VM, or one, to beta as another VM."""
    key = key or panel.json("generations", vm)[0]["generation"]
    return panel.json("restore", key, "--to", "beta", "--name", f"{vm}-back", *more)


@pytest.fixture(params=["off", "on"])
def state(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("vm", ENCRYPTED)
def test_a_disk_that_qemu_encrypts_is_refused_with_the_reason(
    panel: Panel, alpha: Host, vm: str, state: str
) -> None:
    if state == "on":
        virsh(alpha, "start", vm)
    try:
        said = refused(panel, "backup", vm, "--store", "far")
        plan = refused(panel, "move", vm, "--to", "beta", "--plan")
    finally:
        virsh(alpha, "destroy", vm, check=False)
    assert f"vda of {vm} is encrypted, and QEMU has its key" in said
    assert "key-secret" not in said
    assert f"vda of {vm} is encrypted, and its key is known to alpha alone" in plan
    assert panel.json("generations", vm) == []


def test_a_part_of_a_file_is_refused_with_the_reason(panel: Panel, alpha: Host, state: str) -> None:
    if state == "on":
        virsh(alpha, "start", "slices")
    try:
        said = refused(panel, "backup", "slices", "--store", "far")
        plan = refused(panel, "move", "slices", "--to", "beta", "--plan")
    finally:
        virsh(alpha, "destroy", "slices", check=False)
    assert "vda of slices is a part of a larger file (slices)" in said
    assert "vda of slices is a part of a larger file (slices)" in plan


def test_a_passed_on_scsi_disk_comes_back_as_a_plain_one(
    panel: Panel, beta: Host, restored: list[str]
) -> None:
    backed_up(panel, "lun")
    restored.append("lun-back")
    restore(panel, "lun", "--path", IMAGES)  # nothing tells where: it lay on a device
    xml = virsh(beta, "dumpxml", "lun-back", "--inactive")
    assert "device='disk'" in xml
    assert "device='lun'" not in xml
    words = ["dd", f"if={path_of(beta, 'lun-back')}", "bs=1", "skip=4096", "count=8"]
    found = inside(beta, words)
    assert found.stdout == "lun-data"
    virsh(beta, "start", "lun-back")
    assert states(beta)["lun-back"] == "running"


def test_a_data_file_is_read_as_the_guest_sees_it(
    panel: Panel, alpha: Host, beta: Host, restored: list[str]
) -> None:
    assert "it keeps its data in another file" in refused(panel, "backup", "ext", "--store", "far")
    virsh(alpha, "start", "ext")
    try:
        backed_up(panel, "ext")
        # Beside QEMU's record, which such an image has none of: only reading everything finds it.
        virsh(
            alpha, "qemu-monitor-command", "ext", "--hmp", "qemu-io", "-d",
            "libvirt-1-format", '"write -P 0x45 2M 64k"', check=False,
        )  # fmt: skip
        last = backed_up(panel, "ext")
    finally:
        virsh(alpha, "destroy", "ext", check=False)
    restored.append("ext-back")
    restore(panel, "ext", key=last)
    assert content(beta, "ext-back") == content(alpha, "ext")
    assert "dataStore" not in virsh(beta, "dumpxml", "ext-back")


def test_what_the_copy_does_not_hold_is_in_its_manifest(panel: Panel, beta: Host) -> None:
    assert left_out(panel, beta, "snap") == [
        ("internal-snapshot", "before-upgrade of vda"),
        ("internal-snapshot", "two words of vda"),
    ]
    assert left_out(panel, beta, "marked") == [("corrupt-flag", "vda")]
    assert left_out(panel, beta, "over") == [("corrupt-flag", "vda")]


def test_what_is_only_read_must_be_there(panel: Panel, beta: Host, restored: list[str]) -> None:
    lent = ("read-only-disk", f"vdb ({IMAGES}/ro-b.img)")
    assert left_out(panel, beta, "readonly") == [lent]
    before = images(beta)
    key = panel.json("generations", "readonly")[0]["generation"]
    said = refused(panel, "restore", key, "--to", "beta", "--name", "readonly-back")
    assert f"The read-only image {IMAGES}/ro-b.img (vdb) is missing on beta" in said
    assert images(beta) == before
    restored.append("readonly-back")
    restore(panel, "readonly", "--drop-reach")
    assert "ro-b.img" not in virsh(beta, "dumpxml", "readonly-back")


def test_a_medium_by_https_leaves_an_empty_drive(
    panel: Panel, beta: Host, restored: list[str]
) -> None:
    assert left_out(panel, beta, "media") == [("medium", "hdc (https://192.0.2.9:443/iso/x.iso)")]
    restored.append("media-back")
    restore(panel, "media")
    xml = virsh(beta, "dumpxml", "media-back", "--inactive")
    assert "hdc" in xml
    assert "https" not in xml
    virsh(beta, "start", "media-back")


def test_a_missing_kernel_is_said_first_and_can_be_left_out(panel: Panel, beta: Host) -> None:
    before = images(beta)
    planned = panel("move", "direct", "--to", "beta", "--plan", "--json", ok=False)
    plan = json.loads(planned.stdout)
    assert any(f"The kernel {IMAGES}/boot/vmlinuz is missing" in said for said in plan["obstacles"])
    dropped = panel.json("move", "direct", "--to", "beta", "--plan", "--drop-reach")
    assert dropped["obstacles"] == []
    assert dropped["possible"]
    assert images(beta) == before
