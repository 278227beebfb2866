"""A restore in which anything may fail: no file is left, no VM half made, nothing written over."""

import hashlib
import uuid
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Generation, Store
from backups.services import restore as service
from backups.services import restore_fill, restore_pieces, settle, settle_restore
from backups.services.ask_restore import Wish, ask_for_restore
from backups.services.restore import restore
from hosts.models import Host
from labpanel.adapters import qemu_img
from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.adapters.fakes.backing_up import (
    FakeImages,
    FakeKeeper,
    FakeMover,
    Scene,
    definition,
)
from labpanel.adapters.script_session import ScriptRefused
from labpanel.jobs import ledger, work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.refusal import Refusal

VM_UUID = "11111111-2222-4333-8444-555555555555"
KEY = "20261122T231500Z-abc123"
PLACED = "/srv/images/copy-vda.qcow2"


@pytest.fixture
def scene(db: None, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(VM_UUID)
    for module in (service, settle_restore):
        monkeypatch.setattr(module, "ImageHost", lambda _: FakeImages(made))
        monkeypatch.setattr(module, "opened", made.opened)
    for module in (service, restore_pieces):
        monkeypatch.setattr(module, "private_machine", made.private_machine)
    monkeypatch.setattr(restore_pieces, "ImageHost", lambda _: FakeImages(made))
    monkeypatch.setattr(restore_pieces, "Keeper", lambda *_: FakeKeeper(made))
    monkeypatch.setattr(restore_pieces, "Mover", lambda _: FakeMover(made))
    monkeypatch.setattr(qemu_img, "content_bytes", lambda *_, **__: made.content())
    monkeypatch.setattr(restore_fill, "relayed", made.relayed)
    monkeypatch.setattr(settle_restore, "end_channel", lambda _: None)
    return made


@pytest.fixture
def generation(db: None) -> Generation:
    beta = Host.objects.create(name="beta", target="root@beta", seen_at=timezone.now())
    store = Store.objects.create(name="far", host=beta, path="/srv/store", store_id=uuid.uuid4())
    disk = {
        "target": "vda",
        "source": "/srv/images/home.qcow2",
        "source_format": "qcow2",
        "virtual_bytes": 8 << 20,
        "copied_bytes": 8 << 20,
        "file": "vda.qcow2",
        "digests": {"file": "vda.digests", "sha256": ""},
        "root": "00ff",
    }
    xml = hashlib.sha256(definition(VM_UUID).encode()).hexdigest()
    return Generation.objects.create(
        key=KEY,
        store=store,
        vm_uuid=VM_UUID,
        vm_name="home",
        source_host="alpha",
        taken_at=timezone.now(),
        consistency="quiesced",
        manifest={"disks": [disk], "files": {"domain.xml": xml}},
    )


def asked(generation: Generation, **more: Any) -> Job:
    return ask_for_restore(
        generation, Host.objects.get(name="beta"), Wish(**{"name": "copy", **more})
    )


def done(generation: Generation, **more: Any) -> Job:
    job = asked(generation, **more)
    work.perform(job.pk, restore)
    job.refresh_from_db()
    return job


def test_a_copy_is_defined_and_started(scene: Scene, generation: Generation) -> None:
    job = done(generation, start=True)
    assert job.state == State.DONE, job.detail
    assert job.result is not None
    assert job.result["disks"] == [{"target": "vda", "path": PLACED, "from": KEY}]
    assert list(scene.domains.values()) == ["copy"]
    assert VM_UUID not in scene.domains
    assert scene.files == {PLACED}
    assert scene.asked[-1] == "start"


def test_a_taken_path_gets_another_name(scene: Scene, generation: Generation) -> None:
    scene.files.add(PLACED)
    job = done(generation)
    assert job.result is not None
    assert job.result["disks"][0]["path"] == "/srv/images/copy-2-vda.qcow2"
    assert PLACED in scene.files


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("images", "images is not an absolute path."),
        ("/srv/images/../../etc", "goes up with “..”"),
        ("/srv/store/deeper", "/srv/store/deeper lies in the store far, which holds copies only"),
        ("/srv/store/", "lies in the store far"),
    ],
)
def test_a_folder_that_is_none_for_images_is_refused(
    scene: Scene, generation: Generation, path: str, said: str
) -> None:
    with pytest.raises(Refusal, match=said):
        asked(generation, path=path)


STEPS = (
    "keeper.lock",
    "keeper.read_text",
    "uuid_of",
    "networks",
    "measure",
    "images.create",
    "images.serve",
    "keeper.serve",
    "relay",
    "mover.restore",
    "images.stop",
    "images.check",
    "images.place",
    "define",
)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "error", [Unreachable("beta does not answer."), ScriptRefused("full", "No space left.")]
)
def test_whatever_step_fails_nothing_is_left(
    scene: Scene, generation: Generation, step: str, error: AdapterError
) -> None:
    scene.files.add("/srv/images/somebody-elses.qcow2")
    scene.fails[step] = error
    job = done(generation)
    assert job.state == State.FAILED
    assert scene.files == {"/srv/images/somebody-elses.qcow2"}
    assert scene.domains == {}


def test_a_vm_that_does_not_start_stays_whole(scene: Scene, generation: Generation) -> None:
    scene.fails["start"] = AdapterError("no memory.")
    job = done(generation, start=True)
    assert job.state == State.FAILED
    assert "is restored and defined on beta, but did not start: no memory." in job.sentence
    assert scene.files == {PLACED}


def test_a_definition_that_was_changed_is_not_trusted(scene: Scene, generation: Generation) -> None:
    generation.manifest["files"]["domain.xml"] = "0" * 64
    generation.save()
    assert "domain.xml of generation" in done(generation).sentence
    assert scene.files == set()


def test_a_taken_name_is_refused(scene: Scene, generation: Generation) -> None:
    scene.domains["other"] = "copy"
    assert "There already is a VM copy on beta" in done(generation).sentence
    assert scene.files == set()


@pytest.mark.parametrize(
    ("step", "left", "word"),
    [
        ("mover.restore", set(), "nothing of copy is left"),
        ("define", {PLACED}, f"Whole disks were left at {PLACED}"),
        ("start", {PLACED}, "after copy was defined on beta; it is whole"),
    ],
)
def test_a_dead_worker_is_settled_by_asking(
    scene: Scene, generation: Generation, step: str, left: set[str], word: str
) -> None:
    job = ledger.claim(asked(generation, start=True).pk, "worker")
    assert job is not None
    dead = AdapterError("dead")
    scene.fails = {step: KeyboardInterrupt(), "images.remove": dead}
    with pytest.raises(KeyboardInterrupt):
        restore(work.Work(job))
    scene.fails = {}
    job.refresh_from_db()
    assert word in settle_restore.restore(job)
    assert scene.files == left


def test_images_on_a_host_that_was_away_go_when_it_is_back(
    scene: Scene, generation: Generation
) -> None:
    gone = Unreachable("beta does not answer.")
    scene.fails = {"mover.restore": gone, "images.remove": gone}
    assert done(generation).state == State.FAILED
    assert scene.files
    scene.fails = {}
    settle.close_leftovers(timezone.now())
    assert scene.files == set()
