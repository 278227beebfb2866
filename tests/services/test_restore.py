"""A restore in which anything may fail: no file is left, no VM half made, nothing written over."""

import hashlib
import uuid
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Generation, Store
from backups.services.index import channels
from backups.services.restore import fill as restore_fill
from backups.services.restore import pieces as restore_pieces
from backups.services.restore import restore as service
from backups.services.restore import settle as settle_restore
from backups.services.restore.ask_restore import RestoreRequest, ask_for_restore
from backups.services.restore.restore import restore
from hosts.models import Host
from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs import ledger, settling, work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.refusal import Refusal
from tests.fakes.backing_up import FakeImages, Scene, definition
from tests.fakes.block_moving import FakeMover
from tests.fakes.keeping import FakeKeeper
from tests.made_manifests import asked_disk, value, with_files

VM_UUID = "11111111-2222-4333-8444-555555555555"
KEY = "20261122T231500Z-abc123"
PLACED = "/srv/images/copy-vda.qcow2"


@pytest.fixture
def scene(db: None, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(VM_UUID)
    for module in (service, settle_restore):
        monkeypatch.setattr(module, "ImageHost", lambda _: FakeImages(made))
        monkeypatch.setattr(module, "opened", made.opened)
    monkeypatch.setattr(channels, "private_machine", made.private_machine)
    monkeypatch.setattr(restore_pieces, "ImageHost", lambda _: FakeImages(made))
    monkeypatch.setattr(restore_pieces, "Keeper", lambda *_: FakeKeeper(made))
    monkeypatch.setattr(restore_pieces, "Mover", lambda _: FakeMover(made))
    monkeypatch.setattr(restore_fill, "relayed", made.relayed)
    monkeypatch.setattr(channels, "end_channel", lambda _: None)
    return made


@pytest.fixture
def generation(db: None) -> Generation:
    beta = Host.objects.create(name="beta", target="root@beta", seen_at=timezone.now())
    store = Store.objects.create(name="far", host=beta, path="/srv/store", store_id=uuid.uuid4())
    disk = asked_disk("vda", 8 << 20, source="/srv/images/home.qcow2", root="00ff" * 16)
    xml = hashlib.sha256(definition(VM_UUID).encode()).hexdigest()
    return Generation.objects.create(
        key=KEY,
        store=store,
        vm_uuid=VM_UUID,
        vm_name="home",
        source_host="alpha",
        taken_at=timezone.now(),
        consistency="quiesced",
        manifest=value(KEY, [disk], files={"domain.xml": xml}),
    )


def asked(generation: Generation, **more: Any) -> Job:
    return ask_for_restore(
        generation, Host.objects.get(name="beta"), RestoreRequest(**{"name": "copy", **more})
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


def test_a_copy_that_was_found_forged_since_is_not_restored(
    scene: Scene, generation: Generation
) -> None:
    job = asked(generation)
    Generation.objects.update(trust=Generation.Trust.FORGED)
    work.perform(job.pk, restore)
    job.refresh_from_db()
    assert job.state == State.FAILED, job.detail
    assert "does not carry this panel's signature" in job.sentence
    assert (scene.domains, scene.files) == ({}, set())


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
        ("//srv/store", "lies in the store far"),
        ("/srv/.//store/x", "lies in the store far"),
        ("-x", "-x is not an absolute path."),
        ("/srv/a\nb", "control characters"),
        ("/" + "x" * 1001, "1000 bytes at most"),
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
    "own_definition",
    "target_facts",
    "check_definition",
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
    generation.manifest = with_files(generation.manifest, {"domain.xml": "0" * 64})
    generation.save()
    assert "domain.xml of generation" in done(generation).sentence
    assert scene.files == set()


@pytest.mark.parametrize("name", [".", "..", "a/b", "a\nb", "/", "x" * 201])
def test_a_name_that_is_none_is_refused(scene: Scene, generation: Generation, name: str) -> None:
    with pytest.raises(Refusal):
        asked(generation, name=name)
    assert not Job.objects.exists()


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
    assert word in ledger.settle(job)
    assert scene.files == left


def test_images_on_a_host_that_was_away_go_when_it_is_back(
    scene: Scene, generation: Generation
) -> None:
    gone = Unreachable("beta does not answer.")
    scene.fails = {"mover.restore": gone, "images.remove": gone}
    assert done(generation).state == State.FAILED
    assert scene.files
    scene.fails = {}
    settling.settle(timezone.now())
    assert scene.files == set()
