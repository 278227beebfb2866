"""A backup of a VM that has more than its disks: what is kept beside them, and what is said."""

import hashlib
import html
from collections.abc import Iterator

import pytest
from django.test import Client
from django.utils import timezone

from backups.models import Generation, Store
from backups.rules.backup.left_out import sentences
from backups.selectors.coverage.coverage import coverage
from backups.selectors.coverage.exposure import exposure
from backups.services.backup import back_up as service
from hosts.models import VM
from labpanel.jobs.models import JobLine
from labpanel.jobs.states import State
from labpanel.lib.kept_files import tpm_folder
from labpanel.lib.left_out import LeftOut, LeftOutKind, from_json
from tests.fakes.backing_up import Scene
from tests.fakes.beside import FakeBesideHost
from tests.pages.conftest import plain_static  # noqa: F401 - a fixture that all use
from tests.services.test_back_up import VM_UUID, done, scene, store, vm  # noqa: F401 - fixtures
from tests.services.test_cli import run

KERNEL, INITRD = b"MZ kernel" * 200_000, b"initrd"  # two pieces, and one
BOOT = "<os><kernel>/srv/boot/vmlinuz</kernel><initrd>/srv/boot/initrd.img</initrd></os>"
TPM = "<tpm model='tpm-tis'><backend type='{kind}' version='2.0'>{inside}</backend></tpm>"
NVRAM = "<os><nvram{more}>{inside}</nvram></os>"
STATE = f"{tpm_folder(VM_UUID)}/tpm2/tpm2-00.permall"
NAS = (
    "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' "
    "bus='0x02' slot='0x00' function='0x0'/></source></hostdev><filesystem type='mount'>"
    "<driver type='virtiofs'/><source dir='/srv/images/share'/><target dir='share'/></filesystem>"
)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBesideHost]:
    made = FakeBesideHost({"/srv/boot/vmlinuz": KERNEL, "/srv/boot/initrd.img": INITRD})
    monkeypatch.setattr(service, "BesideHost", lambda _: made)
    yield made
    assert not made.open, "every file that was opened is closed"


def having(scene: Scene, *, os: str = "", devices: str = "") -> None:  # noqa: F811
    found = scene.definition.replace("<devices>", f"{os}<devices>")
    scene.definition = found.replace("</devices>", f"{devices}</devices>")


def left_out() -> list[LeftOut]:
    return list(from_json(Generation.objects.latest("pk").left_out or []))


def test_a_direct_boot_is_kept_with_its_kernel_and_says_how_it_comes_back(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
) -> None:
    having(scene, os=BOOT)
    assert done(vm, store).state == State.DONE
    kept = Generation.objects.get()
    assert kept.manifest.digests_of_files["kernel"] == hashlib.sha256(KERNEL).hexdigest()
    assert scene.small[kept.key, "kernel"] == KERNEL
    assert scene.small[kept.key, "initrd"] == INITRD
    assert left_out() == []
    text = scene.texts["RECOVER.txt"]
    assert "test ! -e /srv/boot/vmlinuz || cmp kernel /srv/boot/vmlinuz" in text
    assert "test -e /srv/boot/initrd.img || cp initrd /srv/boot/initrd.img" in text
    assert "This directory holds everything: " in text


def test_the_same_kernel_is_in_the_store_once(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
) -> None:
    having(scene, os=BOOT)
    done(vm, store)
    written = scene.asked.count("keeper.write_small")
    host.held["/srv/boot/initrd.img"] = b"of the next kernel"
    done(vm, store)
    assert scene.asked.count("keeper.write_small") == written + 1
    newest = Generation.objects.latest("pk")
    assert scene.small[newest.key, "kernel"] == KERNEL
    assert scene.small[newest.key, "initrd"] == b"of the next kernel"


@pytest.mark.parametrize("trouble", ["absent", "large", "busy"])
def test_a_kernel_that_cannot_be_kept_fails_no_backup_and_is_told(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    having(scene, os=BOOT)
    whys = {
        "absent": "/srv/boot/vmlinuz does not exist.",
        "large": "/srv/boot/vmlinuz has more than 0 MiB.",
        "busy": "It was written to while it was read.",
    }
    if trouble == "absent":
        del host.held["/srv/boot/vmlinuz"]
    elif trouble == "large":
        monkeypatch.setattr("backups.services.backup.keeping_beside._BOOT_BYTES", 1000)
    else:
        host.busy.add("/srv/boot/vmlinuz")
    assert done(vm, store).state == State.DONE
    assert left_out() == [LeftOut(LeftOutKind.KERNEL, "/srv/boot/vmlinuz", whys[trouble])]
    kept = Generation.objects.get()
    assert set(kept.manifest.digests_of_files) & {"kernel", "initrd"} == {"initrd"}
    text = scene.texts["RECOVER.txt"]
    assert "holds everything" not in text
    assert "- The kernel /srv/boot/vmlinuz is not in this copy." in text


@pytest.mark.parametrize("active", [True, False])
def test_the_state_of_a_tpm_is_kept_running_or_off(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
    *,
    active: bool,
) -> None:
    scene.active = active
    host.held[STATE] = b"sealed"
    having(scene, devices=TPM.format(kind="emulator", inside=""))
    assert done(vm, store).state == State.DONE
    kept = Generation.objects.get()
    assert scene.small[kept.key, "tpm2-00.permall"] == b"sealed"
    assert left_out() == []
    assert f"cp tpm2-00.permall {STATE}" in scene.texts["RECOVER.txt"]


@pytest.mark.parametrize(
    ("devices", "active", "why"),
    [
        (TPM.format(kind="passthrough", inside=""), True, "It is a chip of the host."),
        (TPM.format(kind="external", inside=""), True, "Its emulator is not started by libvirt."),
        (
            TPM.format(kind="emulator", inside="<source type='dir' path='/tank/tpm'/>"),
            False,
            "It lies in /tank/tpm, not in libvirt’s own folder.",
        ),
        (
            TPM.format(kind="emulator", inside=""),
            True,
            f"It was not found in {tpm_folder(VM_UUID)}.",
        ),
    ],
)
def test_a_tpm_whose_state_is_not_to_be_had_is_told(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
    devices: str,
    active: bool,
    why: str,
) -> None:
    scene.active = active
    having(scene, devices=devices)
    assert done(vm, store).state == State.DONE
    assert left_out() == [LeftOut(LeftOutKind.TPM, "TPM 2.0", why)]


@pytest.mark.parametrize(
    ("more", "inside"), [("", "/n/home.fd"), (" type='file'", "<source file='/n/home.fd'/>")]
)
def test_uefi_variables_are_kept_however_long_and_in_either_spelling(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
    more: str,
    inside: str,
) -> None:
    host.held["/n/home.fd"] = bytes(9 << 20)  # ARM's have 64 MiB
    having(scene, os=NVRAM.format(more=more, inside=inside))
    assert done(vm, store).state == State.DONE
    kept = Generation.objects.get()
    assert len(scene.small[kept.key, "nvram.fd"]) == 9 << 20
    assert kept.manifest.nvram == "/n/home.fd"


@pytest.mark.parametrize("active", [True, False])
def test_variables_that_are_gone_are_told_of_a_vm_that_ran_with_them(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
    *,
    active: bool,
) -> None:
    scene.active = active
    having(scene, os=NVRAM.format(more="", inside="/n/home.fd"))
    assert done(vm, store).state == State.DONE
    gone = LeftOut(LeftOutKind.NVRAM, "/n/home.fd", "/n/home.fd does not exist.")
    assert left_out() == ([gone] if active else [])


def test_variables_on_a_network_disk_are_told(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
) -> None:
    having(scene, os=NVRAM.format(more=" type='network'", inside="<source name='x'/>"))
    assert done(vm, store).state == State.DONE
    assert [one.kind for one in left_out()] == [LeftOutKind.NVRAM]


def test_devices_and_folders_of_the_host_are_told_everywhere(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    vm: VM,  # noqa: F811
    store: Store,  # noqa: F811
    signed_in: Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    having(scene, devices=NAS)
    assert done(vm, store).state == State.DONE
    assert [one.subject for one in left_out()] == [
        "PCI device 0000:02:00.0",
        "/srv/images/share (share in the guest)",
    ]
    said = sentences(left_out())
    assert said[0].startswith("The passed-through PCI device 0000:02:00.0 is not in this copy")
    text = scene.texts["RECOVER.txt"]
    assert "holds everything" not in text
    for one in said:
        assert one in " ".join(text.split())
    lines = [line.text for line in JobLine.objects.all()]
    assert set(said) <= set(lines)
    now = timezone.now()
    assert [row.as_json()["left_out"] for row in coverage(now)] == [said]
    death = next(death.as_json() for death in exposure(now) if death.losses)
    assert death["vms"][0]["left_out"] == said
    kept = Generation.objects.get()
    pages = (kept.get_absolute_url(), vm.get_absolute_url(), "/coverage/")
    for page in (*pages, f"{vm.get_absolute_url()}copies/"):
        shown = " ".join(html.unescape(signed_in.get(page).content.decode()).split())
        assert said[0] in shown, page
        assert said[1] in shown, page
    words = ("coverage", "exposure")
    for verb in words:
        run(verb)
    printed = capsys.readouterr().out
    assert printed.count(f"home: {said[0]}") == len(words)
