"""A restore in place in which anything may fail: the VM has its old disks or its new ones."""

from dataclasses import asdict
from dataclasses import replace as replaced
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Generation
from backups.services.index import channels
from backups.services.restore import pieces as restore_pieces
from backups.services.restore import replace, replace_fill
from backups.services.restore import settle as settle_restore
from backups.services.restore.ask_restore import RestoreRequest, ask_for_restore
from backups.services.restore.restore import restore
from hosts.models import VM, Host, VirtualDisk
from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.adapters.images.differ import Difference
from labpanel.adapters.images.replacer import Exchange
from labpanel.adapters.libvirt.uses.definitions import Stored
from labpanel.jobs import ledger, settling, work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.refusal import Refusal
from tests.fakes.backing_up import FakeImages, Scene
from tests.fakes.block_moving import FakeMover
from tests.fakes.domains import SIZE, FakeHypervisor
from tests.fakes.keeping import FakeKeeper
from tests.services.test_restore import VM_UUID, generation  # noqa: F401 - a fixture

OLD = "/srv/images/home.qcow2"
XML = """<domain><devices><disk type='file' device='disk'><driver type='qcow2'/>
<source file='/srv/images/home.qcow2'/><target dev='vda'/></disk></devices></domain>"""


class FakeReplacer:
    """Replacer on the scene's files: a swap leaves the new content under the old name."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __enter__(self) -> "FakeReplacer":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def begin(self, exchange: Exchange, virtual_bytes: int) -> str:
        self._scene.files.add(exchange.new)
        self._scene.say("replacer.begin")
        return ""

    def room(self, path: str) -> tuple[int, int]:
        self._scene.say("replacer.room")
        return SIZE, self._scene.available_bytes

    def swap(self, exchanges: list[Exchange]) -> list[str]:
        self._scene.say("replacer.swap")
        for one in exchanges:
            if one.new in self._scene.files:
                self._scene.files -= {one.new}
                self._scene.files.add(one.aside)
                self._scene.saved["swapped"] = True
        return [one.aside for one in exchanges]


class FakeDiffer(FakeReplacer):
    """Differ: half of the blocks were the same."""

    def ready(self) -> None:
        self._scene.say("differ.ready")

    def fetch(self, *_: object, on_progress: object) -> Difference:
        self._scene.say("differ.fetch")
        return Difference(SIZE, SIZE // 2, 0.5, [], "00ff" * 16)

    def prove(self, *_: object, on_progress: object) -> Difference:
        self._scene.say("differ.prove")
        return Difference(SIZE, 0, 0.5, list(self._scene.saved.get("bad", [])), "00ff" * 16)


class Domain(FakeHypervisor):
    """libvirt: the VM as `scene.saved["stored"]` has it."""

    def __enter__(self) -> "Domain":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def stored(self, uuid: str) -> Stored | None:
        self._say("stored")
        found: Stored | None = self._scene.saved["stored"]
        return found

    def shutdown(self, uuid: str) -> None:
        self._say("shutdown")
        self._scene.saved["stored"] = replaced(self._scene.saved["stored"], active=False)

    def drop_checkpoint_records(self, uuid: str, prefix: str) -> tuple[str, ...]:
        self._say("drop_checkpoint_records")
        return ()


@pytest.fixture
def scene(db: None, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(VM_UUID)
    made.files = {OLD}
    made.saved["stored"] = Stored("home", active=False, xml=XML, snapshots=0, managed_save=False)
    for module in (replace, restore_pieces, settle_restore):
        monkeypatch.setattr(module, "ImageHost", lambda _: FakeImages(made))
    for module in (replace, settle_restore):
        monkeypatch.setattr(module, "opened", lambda _: Domain(made))
        monkeypatch.setattr(module, "Replacer", lambda _: FakeReplacer(made))
    monkeypatch.setattr(channels, "private_machine", made.private_machine)
    monkeypatch.setattr(replace, "Differ", lambda _: FakeDiffer(made))
    monkeypatch.setattr(replace_fill, "relayed", made.relayed)
    monkeypatch.setattr(restore_pieces, "Keeper", lambda *_: ListKeeper(made))
    monkeypatch.setattr(restore_pieces, "Mover", lambda _: FakeMover(made))
    monkeypatch.setattr(channels, "end_channel", lambda _: None)
    return made


class ListKeeper(FakeKeeper):
    def serve_list(self, name: str, path: str) -> str:
        self._scene.say("keeper.serve_list")
        return f"/run/labpanel-y/{name}"


@pytest.fixture
def vm(generation: Generation) -> VM:  # noqa: F811
    now = timezone.now()
    host = Host.objects.get(name="beta")
    seen = {"first_seen_at": now, "seen_at": now}
    made = VM.objects.create(uuid=VM_UUID, name="home", host=host, state="shut off", **seen)
    VirtualDisk.objects.create(vm=made, target="vda", source=OLD, format="qcow2", **seen)
    return made


def done(found: Generation, **more: Any) -> Job:
    job = ask_for_restore(found, None, RestoreRequest(in_place=True, **more))
    work.perform(job.pk, restore)
    job.refresh_from_db()
    return job


def test_the_new_disks_are_in_place_and_the_old_ones_kept(
    scene: Scene,
    generation: Generation,  # noqa: F811
    vm: VM,
) -> None:
    job = done(generation, start=True)
    assert job.state == State.DONE, job.detail
    assert job.result is not None
    (aside,) = job.result["kept_aside"]
    assert scene.files == {OLD, aside}
    assert job.result["bytes"] == SIZE // 2
    assert scene.asked[-2:] == ["drop_checkpoint_records", "start"]


STEPS = (
    "differ.ready",
    "stored",
    "replacer.room",
    "replacer.begin",
    "keeper.serve_list",
    "keeper.serve",
    "relay",
    "differ.fetch",
    "differ.prove",
    "images.check",
)


@pytest.mark.parametrize("step", STEPS)
def test_whatever_fails_before_all_is_proven_changes_nothing(
    scene: Scene,
    generation: Generation,  # noqa: F811
    vm: VM,
    step: str,
) -> None:
    scene.fails[step] = Unreachable("beta does not answer.")
    assert done(generation).state == State.FAILED
    assert scene.files == {OLD}
    assert "swapped" not in scene.saved


def test_an_image_that_is_not_as_backed_up_is_never_put_in_place(
    scene: Scene,
    generation: Generation,  # noqa: F811
    vm: VM,
) -> None:
    scene.saved["bad"] = [[0, 262144]]
    assert "not what was backed up" in done(generation).sentence
    assert scene.files == {OLD}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"active": True}, "home runs; shut it down first"),
        ({"snapshots": 1}, "home has libvirt snapshots"),
        ({"managed_save": True}, "was saved with its memory"),
        (None, "is not known to its host any more"),
        ({"xml": XML.replace("type='file'", "type='block'", 1)}, "is not an image file now"),
    ],
)
def test_what_hangs_on_the_old_disks_is_refused(
    scene: Scene,
    generation: Generation,  # noqa: F811
    vm: VM,
    change: dict[str, Any] | None,
    word: str,
) -> None:
    known = scene.saved["stored"]
    scene.saved["stored"] = None if change is None else replaced(known, **change)
    assert word in done(generation).sentence
    assert scene.files == {OLD}


def test_a_running_vm_is_refused_or_shut_down(
    scene: Scene,
    generation: Generation,  # noqa: F811
    vm: VM,
) -> None:
    VM.objects.update(state="running")
    scene.saved["stored"] = replaced(scene.saved["stored"], active=True)
    with pytest.raises(Refusal, match="home is running; shut it down first"):
        done(generation)
    assert done(generation, shut_down=True).state == State.DONE


@pytest.mark.parametrize("step", ["replacer.begin", "differ.prove", "replacer.swap"])
def test_a_killed_worker_is_settled(
    scene: Scene,
    generation: Generation,  # noqa: F811
    vm: VM,
    step: str,
) -> None:
    job = ledger.claim(
        ask_for_restore(generation, None, RestoreRequest(in_place=True)).pk, "worker"
    )
    assert job is not None
    scene.fails = {step: KeyboardInterrupt(), "images.remove": AdapterError("dead")}
    with pytest.raises(KeyboardInterrupt):
        restore(work.Work(job))
    scene.fails = {}
    job.refresh_from_db()
    said = ledger.settle(job)
    if step == "replacer.swap":
        assert "has its disks of the backup; what it had is kept in" in said
        assert len(scene.files) == 2
    else:
        assert "home on beta is as it was" in said
        assert scene.files == {OLD}


def test_a_vm_that_was_started_before_the_swap_keeps_its_disks(
    scene: Scene,
    generation: Generation,  # noqa: F811
    vm: VM,
) -> None:
    scene.fails["replacer.swap"] = Unreachable("beta does not answer.")
    job = done(generation)
    assert job.state == State.FAILED
    assert len(scene.files) == 2
    scene.fails = {}
    scene.saved["stored"] = replaced(scene.saved["stored"], active=True)
    (paid,) = settling.settle(timezone.now())
    assert (paid.job, "home was started before" in paid.sentence) == (job, True)
    assert scene.files == {OLD}


def test_a_later_job_on_the_vm_is_waited_for(
    scene: Scene,
    generation: Generation,  # noqa: F811
    vm: VM,
) -> None:
    scene.fails["replacer.swap"] = Unreachable("beta does not answer.")
    job = done(generation)
    scene.fails = {}
    later = ledger.open_job("backup", "Back up home", lock_key=job.lock_key)
    files = set(scene.files)
    assert settling.settle(timezone.now()) == []
    assert scene.files == files
    ledger.finish(later.pk, State.DONE, "Done.")
    assert [row.job for row in settling.settle(timezone.now() + timedelta(minutes=5))] == [job]


def test_disks_that_a_later_restore_put_in_place_stay(
    scene: Scene,
    generation: Generation,  # noqa: F811
    vm: VM,
) -> None:
    scene.fails["replacer.swap"] = Unreachable("beta does not answer.")
    first = done(generation)
    scene.fails = {}
    assert done(generation).state == State.DONE
    (paid,) = settling.settle(timezone.now())
    assert (paid.job, "was restored again" in paid.sentence) == (first, True)
    assert OLD in scene.files
    assert len(scene.files) == 2  # and the one that the later restore kept aside


def test_an_exchange_survives_the_ledger() -> None:
    one = Exchange("vda", "qcow2", OLD, "/new", "/aside")
    assert Exchange(**asdict(one)) == one
