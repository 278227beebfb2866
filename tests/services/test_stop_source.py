"""None runs twice: the old VM is switched off when all is ready, and else nothing starts."""

import contextlib
from collections.abc import Iterator

import pytest
from django.utils import timezone

from backups.models import Generation
from backups.services.instant import run_instant
from backups.services.restore import stop_source
from backups.services.restore.bring_back import bring_back
from hosts.models import VM, Host
from labpanel.adapters.errors import AdapterError, Refused, Unreachable
from labpanel.jobs import work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.vm_state import DomainState
from tests.fakes.backing_up import Scene
from tests.services.test_instant import scene  # noqa: F401 - a fixture
from tests.services.test_restore import VM_UUID, generation  # noqa: F401 - a fixture


class Alpha:
    """libvirt of the old host, as virDomainDestroy behaves (libvirt-domain.html): it answers when
    the domain is off; a QEMU that hangs in a dead disk cannot be killed, and that is an error."""

    def __init__(self, asked: Scene) -> None:
        self.scene, self.runs, self.known = asked, "running", True
        self.hangs: AdapterError | None = None
        self.autostart = True
        self.read_only: AdapterError | None = None

    @contextlib.contextmanager
    def opened(self, endpoint: object) -> Iterator["Alpha"]:
        yield self

    def state(self, uuid: str) -> DomainState:
        self._say("state", uuid)
        if not self.known:
            return DomainState(known=False)
        run = None if self.runs == "shut off" else 4
        return DomainState(True, self.runs, run=run)

    def destroy(self, uuid: str) -> None:
        self._say("destroy", uuid)
        if self.hangs:
            raise self.hangs
        self.runs = "shut off"

    def set_autostart(self, uuid: str, *, on: bool) -> None:
        self._say("set_autostart", uuid)
        if self.read_only:
            raise self.read_only
        self.autostart = on

    def _say(self, name: str, uuid: str) -> None:
        assert uuid == VM_UUID
        self.scene.say(f"alpha.{name}")


@pytest.fixture
def alpha(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Alpha:  # noqa: F811
    made = Alpha(scene)
    monkeypatch.setattr(stop_source, "opened", made.opened)
    monkeypatch.setattr(stop_source, "take_inventory", lambda *_: scene.say("alpha.inventory"))
    host, now = Host.objects.create(name="alpha", target="root@alpha"), timezone.now()
    VM.objects.create(
        uuid=VM_UUID, name="home", host=host, state="running", first_seen_at=now, seen_at=now
    )
    return made


def done(found: Generation, choice: str = "stop") -> Job:
    job = bring_back(found, Host.objects.get(name="beta"), choice)
    work.perform(job.pk, run_instant.run_instant)
    job.refresh_from_db()
    return job


def test_all_is_ready_before_the_old_one_is_switched_off(
    alpha: Alpha,
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
) -> None:
    job = done(generation)
    assert job.state == State.DONE, job.detail
    order = [scene.asked.index(step) for step in ("define", "alpha.destroy", "start")]
    assert order == sorted(order)
    assert "alpha.inventory" in scene.asked
    assert "home on alpha is switched off; its disks there stay as they are." in job.sentence


@pytest.mark.parametrize("choice", ["run"])
def test_without_the_word_it_goes_on(
    alpha: Alpha,
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
    choice: str,
) -> None:
    assert done(generation, choice).state == State.DONE
    assert alpha.runs == "running"
    assert not [step for step in scene.asked if step.startswith("alpha.")]


@pytest.mark.parametrize(
    "trouble",
    [
        AdapterError("Failed to terminate process 4711 with SIGKILL: Device or resource busy"),
        Unreachable("alpha does not answer."),
    ],
)
def test_what_may_still_run_keeps_the_new_one_from_starting(
    alpha: Alpha,
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
    trouble: AdapterError,
) -> None:
    alpha.hangs = trouble
    scene.active = False
    job = done(generation)
    assert job.state == State.FAILED
    assert job.sentence.startswith("home was not switched off on alpha, so nothing was started: ")
    assert trouble.sentence in job.sentence
    assert "start" not in scene.asked
    assert scene.files == set()


@pytest.mark.parametrize("state", ["shut off", "crashed", "gone"])
def test_one_that_is_off_already_is_left_alone(
    alpha: Alpha,
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
    state: str,
) -> None:
    alpha.runs, alpha.known = (state, True) if state != "gone" else ("running", False)
    assert done(generation).state == State.DONE
    assert "alpha.destroy" not in scene.asked


def test_one_that_is_being_moved_is_not_switched_off(
    alpha: Alpha,
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
) -> None:
    Job.objects.create(kind="move", lock_key=f"vm:{VM_UUID}", state=State.RUNNING)
    scene.active = False
    job = done(generation)
    assert (job.state, alpha.runs) == (State.FAILED, "running")
    assert "home is being moved" in job.sentence


def test_a_new_one_that_does_not_start_says_that_the_old_one_is_off(
    alpha: Alpha,
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
) -> None:
    scene.fails["start"] = Unreachable("beta does not answer.")
    scene.active = False
    job = done(generation)
    assert job.state == State.FAILED
    assert job.sentence.startswith("home on alpha is switched off")


def test_the_old_one_does_not_start_with_its_host(
    alpha: Alpha,
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
) -> None:
    """It would run beside its copy when alpha is started again."""
    VM.objects.update(autostart=True)
    job = done(generation)
    assert job.state == State.DONE, job.detail
    assert not alpha.autostart
    assert "It does not start with alpha any more (its autostart is off)." in job.sentence


def test_an_autostart_that_cannot_be_taken_away_is_said(
    alpha: Alpha,
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
) -> None:
    """libvirt keeps it as a link in /etc/libvirt, which may take no writes either."""
    VM.objects.update(autostart=True)
    alpha.read_only = Refused("libvirt on alpha refused to set autostart.")
    job = done(generation)
    assert job.state == State.DONE, job.detail
    assert "It starts again with alpha: set its autostart off" in job.sentence


def test_what_has_no_autostart_is_not_asked_about(
    alpha: Alpha,
    scene: Scene,  # noqa: F811
    generation: Generation,  # noqa: F811
) -> None:
    done(generation)
    assert "alpha.set_autostart" not in scene.asked
