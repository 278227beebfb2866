"""A clock that goes back or forward by an hour: what is deleted, what is taken for dead."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from backups.models import Generation, PolicyRun, Store
from backups.rules.policies.turns import TRY
from backups.selectors.policies.dues import dues
from backups.services.policies.save_policy import save_policy
from backups.services.prune.prune import ask_for_prune
from backups.services.prune.schedule_prunes import thin_out
from hosts.models import Finding, Host, PhysicalDisk, Reading, Sample10s, Subject
from hosts.services.checks import check_drives, readings
from hosts.services.checks.check_reach import check_reach
from hosts.services.inventory import inventory
from hosts.services.machines import probe
from hosts.services.samples.prune_samples import SLICES, prune
from hosts.services.samples.record_samples import Key, Owner, record
from labpanel.adapters.errors import Unreachable
from labpanel.adapters.here import clocks
from labpanel.adapters.libvirt import answers as libvirt_answers
from labpanel.cli.management.commands.panel import Command
from labpanel.clock.models import ClockWatch
from labpanel.clock.services import steady as steadiness
from labpanel.clock.services.confirm import confirm
from labpanel.clock.services.doubt import doubt
from labpanel.clock.services.look import look
from labpanel.jobs import ledger, reaper
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.actor import Actor
from labpanel.lib.clock import ClockReading as Look
from labpanel.lib.refusal import Refusal
from tests.pages import factory

pytestmark = pytest.mark.django_db
HOUR = 3600.0
Jump = Callable[[float], None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """The wall clock, as the adapter reads it, jumps from now on by so many seconds."""
    look()
    began = clocks.read()

    def to(seconds: float) -> None:
        now = Look(began.boot, began.uptime + 15, began.wall + 15 + seconds)
        monkeypatch.setattr(clocks, "read", lambda: now)

    return to


def test_the_machine_s_clocks_can_be_read() -> None:
    first, second = clocks.read(), clocks.read()
    assert first.boot == second.boot
    assert 0 <= second.uptime - first.uptime < 60
    assert abs(first.wall - time.time()) < 60


def test_a_step_is_remembered_and_the_owner_ends_the_doubt(jump: Jump) -> None:
    assert doubt() == ""
    jump(HOUR)
    assert "ahead" in doubt()
    assert "ahead" in confirm(Actor.user("olga"))
    assert doubt() == ""


def test_the_verb_says_it_and_confirms(jump: Jump, capsys: pytest.CaptureFixture[str]) -> None:
    Command().dispatch(["clock"])
    assert "agrees" in capsys.readouterr().out
    jump(-HOUR)
    Command().dispatch(["clock"])
    assert "back by" in capsys.readouterr().out
    Command().dispatch(["clock", "confirm"])
    assert "agrees" in capsys.readouterr().out


@pytest.mark.parametrize("seconds", [HOUR, -HOUR, 400 * 86_400.0])
def test_no_copy_is_pruned_while_the_clock_is_in_doubt(jump: Jump, seconds: float) -> None:
    vm = factory.make_vm(factory.make_host("alpha"), "home")
    store = factory.make_store(factory.make_host("beta"), "far")
    for days in range(6):
        factory.make_generation(vm, store, timedelta(days=days), "vda")
    save_policy(None, {"name": "p", "is_default": True, "cron": "0 2 * * 0", "places": ["far"]})
    jump(seconds)
    assert thin_out(timezone.now() + timedelta(seconds=seconds)) == []
    with pytest.raises(Refusal, match="clock of the panel's machine jumped"):
        ask_for_prune(vm, store)
    assert Generation.objects.count() == 6
    confirm(Actor.user("olga"))
    assert thin_out(timezone.now())


def test_no_sample_is_pruned_while_the_clock_is_in_doubt(jump: Jump) -> None:
    vm = factory.make_vm(factory.make_host("alpha"), "home")
    now = int(time.time())
    record({Key(Owner(vm=vm.pk), "vm", ""): [1.0] * 8}, now)
    subject = Subject.objects.get(vm=vm, kind="vm")
    jump(40 * 86_400.0)
    ahead = [now + 40 * 86_400 + 60 * turn for turn in range(SLICES)]
    assert sum(map(prune, ahead)) == 0
    confirm(Actor.user("olga"))
    assert sum(map(prune, ahead)) == 1
    assert not Sample10s.objects.filter(key__gte=Sample10s.key_of(subject.pk, 0)).exists()


def running(beat_at: float) -> Job:
    job = ledger.open_job("verify", "Verify it", parameters={"generation": "x"})
    at = timezone.now() + timedelta(seconds=beat_at)
    Job.objects.filter(pk=job.pk).update(state=State.RUNNING, worker="w", beat_at=at)
    return job


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_job_that_lives_is_not_settled_when_the_clock_jumps(jump: Jump, seconds: float) -> None:
    job = running(0)
    jump(seconds)
    assert reaper.reap(timezone.now() + timedelta(seconds=seconds)) == []
    job.refresh_from_db()
    assert (job.state, job.worker) == (State.RUNNING, "w")


def test_after_a_full_disk_what_lives_may_speak_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """No beat could be written for two minutes; the first look that can be is not a verdict."""
    monkeypatch.setattr(ledger, "settle", lambda job: "The worker died.")
    monkeypatch.setattr(steadiness, "_excused_at", -steadiness.EXCUSED_ONCE_IN)
    look()
    ClockWatch.objects.update(uptime=F("uptime") - 120, wall=F("wall") - 120)
    ClockWatch.objects.update(believed=F("believed") - 120)
    job = running(-120)
    assert reaper.reap(timezone.now()) == []
    assert reaper.reap(timezone.now()) == [job]


def test_a_dead_job_s_beat_that_lies_ahead_is_no_sign_of_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "settle", lambda job: "The worker died.")
    job = running(HOUR)
    assert reaper.reap(timezone.now()) == [job]


def test_a_waiting_job_that_was_sent_in_time_to_come_is_sent_again(
    broker: list[tuple[str, list[int]]],
) -> None:
    job = ledger.open_job("verify", "Verify it")
    Job.objects.filter(pk=job.pk).update(beat_at=timezone.now() + timedelta(hours=1))
    broker.clear()
    reaper.reap(timezone.now())
    assert [arguments for _, arguments in broker] == [[job.pk]]


def test_a_host_that_fails_is_reported_though_it_failed_before_the_clock_went_back() -> None:
    host = factory.make_host("alpha")
    now = timezone.now()
    Host.objects.filter(pk=host.pk).update(failing_since=now + timedelta(hours=1))
    probe._failed(host, Unreachable("alpha does not answer."), now)
    check_reach(host, now + timedelta(seconds=40))
    assert Finding.objects.filter(kind="host", resolved_at=None).count() == 1


def test_an_inventory_is_taken_though_the_last_one_is_dated_ahead() -> None:
    host = factory.make_host("alpha")
    vm = factory.make_vm(host, "home")
    now = timezone.now()
    Host.objects.filter(pk=host.pk).update(libvirt_seen_at=now + timedelta(hours=1))
    inventory.record(host, {}, libvirt_answers.reports([], "alpha"), {}, now)
    vm.refresh_from_db()
    assert vm.missing_since == now


def test_evidence_dated_ahead_does_not_hide_what_is_read_now() -> None:
    host = factory.make_host("alpha")
    now, key = timezone.now(), ("probe", "/srv")
    readings.record(host, {key: {"outcome": "written"}}, now + timedelta(hours=1))
    for turn in range(3):
        readings.record(host, {key: {"outcome": "EROFS"}}, now + timedelta(seconds=30 * turn))
    assert readings.latest(host, ["probe"], now)[key].value == {"outcome": "EROFS"}
    assert Reading.objects.filter(kind="probe").count() == 2


def test_drives_are_asked_though_the_last_turn_is_dated_ahead() -> None:
    host = factory.make_host("alpha")
    now = timezone.now()
    readings.record(host, {("smart-look", ""): {"error": ""}}, now + timedelta(hours=1))
    assert check_drives._claim_turn(host, now)
    assert not check_drives._claim_turn(host, now + timedelta(seconds=60))


def test_a_drive_that_is_gone_is_missed_though_it_was_seen_in_time_to_come() -> None:
    host = factory.make_host("alpha")
    now = timezone.now()
    seen = now + timedelta(hours=1)
    disk = PhysicalDisk.objects.create(
        host=host, key="wwn", only_smart=True, seen_at=seen, size_bytes=1
    )
    check_drives.record(host, [], now)
    disk.refresh_from_db()
    assert disk.missing_since == now


def test_samples_after_the_clock_went_back_are_the_latest() -> None:
    vm = factory.make_vm(factory.make_host("alpha"), "home")
    now = int(time.time()) // 10 * 10
    key = Key(Owner(vm=vm.pk), "vm", "")
    record({key: [1.0] * 8}, now + 3600)
    record({key: [2.0] * 8}, now)
    assert Subject.objects.get(vm=vm, kind="vm").latest_at == now
    record({key: [3.0] * 8}, now - 20)  # this one only came late
    assert Subject.objects.get(vm=vm, kind="vm").latest_at == now


def test_a_host_last_seen_in_time_to_come_is_not_known_to_be_up() -> None:
    from hosts.rules.health.presence import presence

    now = timezone.now()
    assert not presence(now + timedelta(hours=1), None, "", now).is_up


def test_runs_made_while_the_clock_was_a_year_ahead_do_not_end_the_backups() -> None:
    now = timezone.now()
    ahead = now + timedelta(days=365)
    vm = factory.make_vm(factory.make_host("alpha"), "home")
    store = factory.make_store(factory.make_host("beta"), "far")
    policy = factory.make_policy(cron="0 * * * *", places=["far"], since=ahead)
    Store.objects.filter(pk=store.pk).update(added_at=ahead)
    job = ledger.open_job("backup", "Back it up")
    ledger.finish(job.pk, State.DONE, "Done.")
    PolicyRun.objects.create(
        policy=policy, vm=vm, store=store, due_at=ahead, tries=1, job_id=job.pk
    )
    factory.make_generation(vm, store, timedelta(hours=3), "vda")
    (due,) = dues(now)
    assert due.decision == TRY
    assert due.due_at is not None
    assert now - timedelta(hours=1) <= due.due_at <= now


def test_an_hour_ahead_makes_one_backup_due_and_not_one_for_each_hour() -> None:
    now = timezone.now()
    vm = factory.make_vm(factory.make_host("alpha"), "home")
    store = factory.make_store(factory.make_host("beta"), "far")
    factory.make_policy(cron="0 * * * *", places=["far"], since=now - timedelta(days=9))
    Store.objects.update(added_at=now - timedelta(days=9))
    factory.make_generation(vm, store, timedelta(hours=3), "vda")
    assert len(dues(now + timedelta(days=1))) == 1
