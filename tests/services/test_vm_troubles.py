"""A VM's own troubles over several looks: opened, kept, acknowledged, over."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from hosts.models import VM, Finding
from hosts.selectors.findings import incident_list
from hosts.services.checks import acknowledge
from hosts.services.vms import power
from hosts.services.vms.forget_vm import forget
from labpanel.jobs.models import Job
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from labpanel.lib.vm_state import Reason
from tests.services.looked import HOME, NOW, WEB, Ground

TURN = timedelta(seconds=15)


class Turns:
    """Looks at alpha, a turn apart."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.now = ground, NOW

    def look(self, *words: Any, after: timedelta = TURN, **more: Any) -> list[str]:
        """Of home as it is now: the kinds of all open incidents."""
        if words or more:
            self.ground.libvirt.put("alpha", HOME, "home", *words, **more)
        self.now += after
        self.ground.look(self.ground.alpha, self.now)
        return [row.kind for row in incident_list()]


@pytest.fixture
def turns(ground: Ground) -> Turns:
    found = Turns(ground)
    found.look("running")
    return found


def one() -> Finding:
    return Finding.objects.get(resolved_at=None)


def test_a_crash_is_an_incident_until_it_is_started(turns: Turns) -> None:
    assert turns.look("shut off", reason=Reason.CRASHED) == ["vm-crashed"]
    row = incident_list()[0]
    assert row.title.startswith("home crashed on alpha at ")
    assert (row.about, row.vm, row.severity, row.acts) == (
        "vm",
        "home",
        "bad",
        ["start", "acknowledge"],
    )
    assert row.evidence[0]["value"] == "shut off (crashed)"
    opened = one().opened_at
    assert turns.look() == ["vm-crashed"]
    # libvirt is restarted and forgets why: the crash stands.
    assert turns.look("shut off", reason=Reason.UNKNOWN) == ["vm-crashed"]
    assert one().opened_at == opened
    assert turns.look("running", run=2) == []


@pytest.mark.parametrize("reason", [Reason.SHUTDOWN, Reason.DESTROYED, Reason.SAVED])
def test_a_clean_end_is_none(turns: Turns, reason: Reason) -> None:
    assert turns.look("shut off", reason=reason) == []
    assert turns.look() == []


def test_what_was_seen_does_not_come_back_but_the_next_crash_does(turns: Turns) -> None:
    turns.look("shut off", reason=Reason.CRASHED)
    assert "seen by olga" in acknowledge.acknowledge(one().pk, Actor.user("olga"))
    Finding.objects.update(resolved_at=turns.now)
    assert turns.look() == []
    assert turns.look("shut off", reason=Reason.UNKNOWN) == []
    assert turns.look("running", run=2) == []
    assert turns.look("shut off", reason=Reason.CRASHED) == ["vm-crashed"]


def test_only_what_stands_until_seen_can_be_acknowledged(turns: Turns) -> None:
    turns.look("paused", reason=Reason.IO_ERROR)
    with pytest.raises(Refusal, match="ends when its cause is mended"):
        acknowledge.acknowledge(one().pk, Actor.user("olga"))
    with pytest.raises(Refusal, match="There is no incident"):
        acknowledge.acknowledge(10**30, Actor.user("olga"))
    turns.look("shut off", reason=Reason.CRASHED)
    number = one().pk
    acknowledge.acknowledge(number, Actor.user("olga"))
    with pytest.raises(Refusal, match="is over already"):
        acknowledge.acknowledge(number, Actor.user("olga"))


def test_a_pause_by_a_full_disk_names_it_and_stays_when_there_is_room(turns: Turns) -> None:
    turns.ground.libvirt.disk_errors[HOME] = {"vda": 2}
    assert turns.look("paused", reason=Reason.IO_ERROR) == ["vm-paused"]
    row = incident_list()[0]
    assert "its disk vda found no room to write, since" in row.title
    assert (row.acts, row.evidence[1]["value"]) == (["resume"], "no space")
    turns.ground.libvirt.disk_errors.clear()
    assert turns.look() == ["vm-paused"]
    assert turns.look("paused", reason=Reason.UNKNOWN) == ["vm-paused"]  # libvirt was restarted
    assert turns.look("running", reason=Reason.UNPAUSED) == []


def test_a_pause_that_somebody_asked_for_is_none(turns: Turns) -> None:
    assert turns.look("paused") == []
    assert turns.look("paused", reason=Reason.MIGRATING) == []
    assert turns.ground.libvirt.asked
    assert "disk_errors" not in {call for _, call, _ in turns.ground.libvirt.asked}


def test_vms_that_ran_before_their_hosts_restart_are_told(turns: Turns, ground: Ground) -> None:
    ground.libvirt.put("alpha", WEB, "web", "shut off")
    turns.look()
    ground.machine.said["boot_id"] = "another-boot"
    ground.libvirt.put("alpha", WEB, "web", "shut off", reason=Reason.UNKNOWN)
    assert turns.look("shut off", reason=Reason.UNKNOWN) == ["vm-off"]
    assert one().sentence.startswith("home ran before alpha was restarted and is off since ")
    assert turns.look() == ["vm-off"]
    assert turns.look("running", run=1) == []


def test_a_libvirt_that_lost_a_vm_does_not_know_why(turns: Turns) -> None:
    assert turns.look("shut off", reason=Reason.UNKNOWN) == ["vm-off"]
    assert "libvirt does not know why" in one().sentence
    acknowledge.acknowledge(one().pk, Actor.user("olga"))
    Finding.objects.update(resolved_at=turns.now)
    assert turns.look() == []


def job(vm: VM, kind: str, at: datetime, **more: Any) -> Job:
    return Job.objects.create(
        kind=kind, title=kind, subject=f"vm:{vm.uuid}", **{"state": "done", "ended_at": at, **more}
    )


def test_what_the_panel_asked_for_is_none(turns: Turns) -> None:
    vm = VM.objects.get()
    job(vm, "power", turns.now + timedelta(seconds=5))
    assert turns.look("shut off", reason=Reason.UNKNOWN) == []
    turns.look("running", run=2)
    job(vm, "move", turns.now, state="running", ended_at=None)
    turns.ground.libvirt.take("alpha", HOME)
    assert turns.look() == []
    assert turns.look(after=timedelta(minutes=2)) == []


def test_a_backup_of_the_panels_hides_nothing(turns: Turns) -> None:
    job(VM.objects.get(), "backup", turns.now, state="running", ended_at=None)
    assert turns.look("shut off", reason=Reason.UNKNOWN) == ["vm-off"]


def test_a_vm_that_is_gone_from_libvirt(turns: Turns) -> None:
    turns.ground.libvirt.take("alpha", HOME)
    assert turns.look() == []  # it may be on its way to another host
    assert turns.look(after=timedelta(minutes=2)) == ["vm-gone"]
    assert one().sentence.startswith("home is gone from libvirt on alpha")
    assert turns.look("running", run=7) == []


def test_a_vm_that_was_migrated_by_hand_is_not_gone(turns: Turns, ground: Ground) -> None:
    ground.libvirt.take("alpha", HOME)
    turns.look()
    ground.libvirt.put("beta", HOME, "home")
    ground.look(ground.beta, turns.now)
    assert turns.look(after=timedelta(minutes=2)) == []


def test_a_crash_there_is_over_when_it_runs_here(turns: Turns, ground: Ground) -> None:
    turns.look("shut off", reason=Reason.CRASHED)
    ground.libvirt.take("alpha", HOME)
    turns.look()
    ground.libvirt.put("beta", HOME, "home", run=3)
    ground.look(ground.beta, turns.now)
    assert incident_list() == []


def test_forgetting_a_vm_ends_what_is_told_of_it(turns: Turns, ground: Ground) -> None:
    from django.utils import timezone

    ground.libvirt.take("alpha", HOME)
    turns.look()
    turns.look(after=timedelta(minutes=2))
    turns.ground.look(ground.alpha, timezone.now())
    forget(VM.objects.get())
    assert incident_list() == []


def test_a_guest_that_is_started_again_and_again(turns: Turns) -> None:
    assert turns.look("running", run=2) == []
    assert turns.look("running", run=3) == []
    assert turns.look("running", run=4) == ["vm-restarts"]
    assert "3 times within 10 minutes" in one().sentence
    assert turns.look() == ["vm-restarts"]
    assert turns.look(after=timedelta(minutes=11)) == []


def test_what_the_panel_starts_is_not_counted(turns: Turns) -> None:
    for run in range(2, 6):
        job(VM.objects.get(), "power", turns.now + timedelta(seconds=5))
        assert turns.look("running", run=run) == []


def test_one_vm_that_cannot_be_asked_about_its_disks_hides_none(turns: Turns) -> None:
    from labpanel.adapters.errors import TimedOut

    turns.ground.libvirt.fails["disk_errors"] = TimedOut("libvirt gave no answer.")
    assert turns.look("paused", reason=Reason.IO_ERROR) == ["vm-paused"]


def test_resuming_goes_on_or_says_that_it_stopped_again(
    turns: Turns, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.utils import timezone

    monkeypatch.setattr(power, "opened", ground.libvirt.opened)
    monkeypatch.setattr(power, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(power, "FAILS_AGAIN_SECONDS", 0.05)
    turns.now = timezone.now() - TURN
    turns.look("paused", reason=Reason.IO_ERROR)
    vm = VM.objects.select_related("host").get()
    ground.libvirt.broken.add(HOME)
    again = power.ask(vm, "resume", Actor.user("olga"))
    power.perform(again.pk)
    again.refresh_from_db()
    assert again.state == "failed"
    assert "is paused again (I/O error)" in again.sentence
    assert [row.kind for row in incident_list()] == ["vm-paused"]
    ground.libvirt.broken.clear()
    well = power.ask(VM.objects.select_related("host").get(), "resume")
    power.perform(well.pk)
    well.refresh_from_db()
    assert (well.state, well.sentence) == ("done", "home goes on on alpha.")
    assert incident_list() == []
    running = VM.objects.select_related("host").get()
    with pytest.raises(Refusal, match="home is not paused: it is running"):
        power.ask(running, "resume")
    ground.libvirt.put("alpha", HOME, "home", "paused")
    ground.look(ground.alpha, timezone.now())
    with pytest.raises(Refusal, match="home is on, and paused: resume it"):
        power.ask(VM.objects.select_related("host").get(), "start")


def reboots(turns: Turns, *ago: float) -> None:
    """What libvirt's events told of home's guest: so many seconds before the next look."""
    at = (turns.now + TURN).timestamp()
    turns.ground.libvirt.hosts["alpha"][0]["rebooted"] = [at - each for each in ago]


def test_a_guest_that_reboots_again_and_again_within_its_run(turns: Turns) -> None:
    reboots(turns, 300.0, 120.0)
    assert turns.look() == []
    # Another of the panel's processes heard of the same ones a moment later.
    reboots(turns, 314.5, 134.5)
    assert turns.look() == []
    reboots(turns, 330.0, 150.0, 5.0)
    assert turns.look() == ["vm-restarts"]
    reboots(turns)
    assert turns.look(after=timedelta(minutes=11)) == []


def test_reboots_that_the_panel_asked_for_and_odd_times_are_none(turns: Turns) -> None:
    job(VM.objects.get(), "power", turns.now + timedelta(seconds=5))
    reboots(turns, 3.0, 6.0, 9.0)
    assert turns.look() == []
    odd: list[Any] = [None, "x", -5, 1e300, True, [], 10**30, float("nan")]
    turns.ground.libvirt.hosts["alpha"][0]["rebooted"] = odd
    assert turns.look(after=timedelta(minutes=20)) == []
    reboots(turns, -3600.0, -7200.0, -9000.0, 90_000.0)
    assert turns.look() == []
