"""What comes back beside the disks: in new places, whole or not at all, and nothing is left of it
when something fails."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest

from backups.models import Generation
from backups.services.restore import restore as service
from backups.services.restore import settle as settle_restore
from backups.services.restore.restore import restore
from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.jobs import ledger, work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.kept_files import SWTPM
from labpanel.lib.left_out import LeftOut, LeftOutKind
from tests.fakes.backing_up import FakeImages, Scene
from tests.fakes.beside import FakeBesideHost
from tests.made_manifests import with_files
from tests.services.test_restore import (  # noqa: F401 - fixtures
    KEY,
    VM_UUID,
    asked,
    done,
    generation,
    scene,
)
from tests.services.test_restore_needs import MAKING, changed

BOOT = (
    "<kernel>/srv/boot/vmlinuz</kernel><initrd>/srv/boot/initrd.img</initrd>"
    "<cmdline>root=/dev/vda</cmdline>"
)
TPM = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"
NVRAM = "<nvram type='file'><source file='/var/lib/libvirt/qemu/nvram/home_VARS.fd'/></nvram>"
KEPT = {
    "kernel": b"kernel" * 300_000,
    "initrd": b"initrd",
    "nvram.fd": b"variables",
    "tpm2-00.permall": b"sealed",
}
NAMES = {
    "/srv/images/copy-kernel": "kernel",
    "/srv/images/copy-initrd": "initrd",
}


@pytest.fixture
def host(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> FakeBesideHost:  # noqa: F811
    made = FakeBesideHost(there=scene.files)
    for module in (service, settle_restore):
        monkeypatch.setattr(module, "BesideHost", lambda _: made)
    return made


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of the host that were removed."""
    told: list[str] = []
    plain = FakeImages.remove

    def remove(self: FakeImages, paths: Sequence[str]) -> list[str]:
        gone = plain(self, paths)
        told.extend(gone)
        return gone

    monkeypatch.setattr(FakeImages, "remove", remove)
    return told


@pytest.fixture
def whole(scene: Scene, generation: Generation) -> Generation:  # noqa: F811
    """A generation that has everything."""
    changed(scene, generation, TPM, BOOT + NVRAM)
    scene.has_swtpm = True
    for name, content in KEPT.items():
        scene.small[KEY, name] = content
        digest = hashlib.sha256(content).hexdigest()
        generation.manifest = with_files(generation.manifest, {name: digest})
    generation.left_out = [LeftOut(LeftOutKind.HOSTDEV, "PCI device 0000:02:00.0").as_json()]
    generation.save()
    return generation


def uuid_of(job: Job) -> str:
    return str(job.parameters["uuid"])


def places(job: Job) -> dict[str, str]:
    uuid = uuid_of(job)
    return {
        **NAMES,
        f"/var/lib/libvirt/qemu/nvram/copy-{uuid[:8]}_VARS.fd": "nvram.fd",
        f"{SWTPM}/{uuid}/tpm2/tpm2-00.permall": "tpm2-00.permall",
    }


def test_all_of_it_comes_back_to_a_host_that_has_none_of_it(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    whole: Generation,
) -> None:
    job = done(whole, start=True)
    assert job.state == State.DONE, job.sentence
    assert host.held == {path: KEPT[name] for path, name in places(job).items()}
    assert host.owned == {uuid_of(job)}
    xml = scene.defined[0]
    assert "<kernel>/srv/images/copy-kernel</kernel>" in xml
    assert "<initrd>/srv/images/copy-initrd</initrd>" in xml
    assert f"<nvram>/var/lib/libvirt/qemu/nvram/copy-{uuid_of(job)[:8]}_VARS.fd</nvram>" in xml
    assert "/srv/boot" not in xml
    said = "The passed-through PCI device 0000:02:00.0 is not in this copy"
    assert any(line.text.startswith(said) for line in job.lines.all())
    assert job.result is not None
    assert job.result["left_out"][0].startswith(said)


def test_a_taken_name_is_left_alone(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    whole: Generation,
) -> None:
    scene.files.add("/srv/images/copy-kernel")
    job = done(whole)
    assert job.state == State.DONE, job.sentence
    assert "<kernel>/srv/images/copy-2-kernel</kernel>" in scene.defined[0]


def test_the_state_of_a_tpm_that_lies_there_is_not_touched(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    whole: Generation,
) -> None:
    scene.files.add(f"{SWTPM}/{VM_UUID}")
    scene.uuid = "the VM is gone, its TPM stayed"
    job = done(whole, name="home")
    assert uuid_of(job) == VM_UUID
    assert job.state == State.FAILED
    assert f"{SWTPM}/{VM_UUID} holds the TPM's state of an earlier VM" in job.sentence
    assert not MAKING & set(scene.asked)
    assert host.held == {}


@pytest.mark.parametrize("name", list(KEPT))
def test_rot_in_one_of_them_is_said_before_anything_is_made(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    whole: Generation,
    name: str,
) -> None:
    scene.small[KEY, name] = b"rot"
    job = done(whole)
    assert job.state == State.FAILED
    assert f"{name} is not what was written" in job.sentence
    assert not MAKING & set(scene.asked)
    assert host.held == {}


@pytest.mark.parametrize("step", range(4))
def test_a_break_in_the_middle_leaves_nothing(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    whole: Generation,
    step: int,
    removed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = FakeBesideHost.make
    done_so_far: list[str] = []

    def breaking(self: FakeBesideHost, path: str, *rest: Any) -> str:
        if len(done_so_far) == step:
            raise Unreachable("The connection to beta was lost.")
        done_so_far.append(path)
        return plain(self, path, *rest)

    monkeypatch.setattr(FakeBesideHost, "make", breaking)
    job = done(whole)
    assert job.state == State.FAILED
    assert len(done_so_far) == step
    left = {path for path in host.held if path.startswith(SWTPM)}
    assert left == set()
    assert set(done_so_far) <= set(removed)
    assert (scene.files, scene.domains) == (set(), {})


def test_a_dead_worker_leaves_none_of_it(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    whole: Generation,
    removed: list[str],
) -> None:
    job = ledger.claim(asked(whole).pk, "worker")
    assert job is not None
    scene.fails = {"define": KeyboardInterrupt(), "images.remove": AdapterError("dead")}
    with pytest.raises(KeyboardInterrupt):
        restore(work.Work(job))
    scene.fails = {}
    job.refresh_from_db()
    assert len(host.held) == len(KEPT)
    removed.clear()
    ledger.settle(job)
    assert {path for path in host.held if not path.startswith(SWTPM)} <= set(removed)
    assert not any(path.startswith(SWTPM) for path in host.held)


def test_a_copy_of_before_comes_back_as_it_did(
    host: FakeBesideHost,
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
) -> None:
    job = done(generation)
    assert job.state == State.DONE, job.sentence
    assert host.held == {}
    assert job.result is not None
    assert "did not write down what is not in it" in job.result["left_out"][0]
