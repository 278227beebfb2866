"""What libvirt says of a VM, told apart: a crash, a pause by an error, an end without a known
reason."""

from datetime import UTC, datetime, timedelta
from typing import Any

import libvirt
import pytest

from hosts.rules.health import vm_trouble as rule
from hosts.rules.health.vm_trouble import DomainLook
from labpanel.lib import vm_state
from labpanel.lib.vm_state import DiskError, Reason
from labpanel.symptoms.declared import kind_of
from labpanel.symptoms.words.of_facts import wording
from labpanel.symptoms.words.wording import Wording

NOW = datetime(2026, 11, 22, 23, 15, tzinfo=UTC)


def seen(state: str, reason: Reason, **more: Any) -> DomainLook:
    on = state not in {"shut off", "crashed", "no state"}
    return DomainLook("home", "alpha", state, reason, on=on, since=NOW, **{"boot": "b2", **more})


def words(one: DomainLook) -> Wording:
    found = rule.trouble(one)
    assert found
    return wording(found, NOW)


def kind(one: DomainLook) -> str:
    found = rule.trouble(one)
    return kind_of(found) if found else ""


@pytest.mark.parametrize(
    ("state", "reason", "wanted"),
    [
        ("shut off", Reason.CRASHED, "vm-crashed"),
        ("shut off", Reason.FAILED, "vm-crashed"),
        ("shut off", Reason.DAEMON, "vm-crashed"),
        ("crashed", Reason.PANICKED, "vm-crashed"),
        ("crashed", Reason.UNKNOWN, "vm-crashed"),
        ("paused", Reason.CRASHED, "vm-crashed"),
        ("paused", Reason.IO_ERROR, "vm-paused"),
        ("paused", Reason.WATCHDOG, "vm-paused"),
        ("paused", Reason.POSTCOPY_FAILED, "vm-paused"),
        ("paused", Reason.API_ERROR, "vm-paused"),
        # What was asked for, and what is under way.
        ("shut off", Reason.SHUTDOWN, ""),
        ("shut off", Reason.DESTROYED, ""),
        ("shut off", Reason.MIGRATED, ""),
        ("shut off", Reason.SAVED, ""),
        ("shut off", Reason.FROM_SNAPSHOT, ""),
        ("shut off", Reason.UNKNOWN, ""),
        ("paused", Reason.USER, ""),
        ("paused", Reason.MIGRATING, ""),
        ("paused", Reason.SNAPSHOT, ""),
        ("paused", Reason.STARTING_UP, ""),
        ("paused", Reason.UNKNOWN, ""),
        ("running", Reason.CRASHED, ""),
        ("running", Reason.BOOTED, ""),
        ("in shutdown", Reason.USER, ""),
        ("no state", Reason.UNKNOWN, ""),
    ],
)
def test_what_is_a_trouble_and_what_is_not(state: str, reason: Reason, wanted: str) -> None:
    assert kind(seen(state, reason)) == wanted
    # A running job of the panel makes no crash a shutdown.
    assert kind(seen(state, reason, asked=True)) == wanted


def test_off_after_the_restart_of_its_host() -> None:
    off = seen("shut off", Reason.UNKNOWN, ran_in="b1")
    assert kind(off) == "vm-off"
    assert words(off).headline == "home ran before alpha was restarted and is off since 23:15"
    assert "set its autostart" in words(off).advice
    assert kind(seen("shut off", Reason.UNKNOWN, ran_in="b2")) == "vm-off"  # libvirt alone was
    assert kind(seen("shut off", Reason.UNKNOWN, ran_in="")) == ""  # it was off before
    assert kind(seen("shut off", Reason.UNKNOWN, ran_in="b1", asked=True)) == ""
    assert kind(seen("shut off", Reason.DESTROYED, ran_in="b1")) == ""
    soon = seen("shut off", Reason.UNKNOWN, ran_in="b1", autostart=True)
    assert kind(soon) == ""  # libvirt is about to start it
    late = seen("shut off", Reason.UNKNOWN, ran_in="b1", autostart=True, lasts=timedelta(minutes=1))
    assert kind(late) == "vm-off"


def test_what_is_remembered_of_the_boot_it_ran_in() -> None:
    remembered = rule.boot_it_ran_in
    assert remembered(seen("running", Reason.BOOTED, ran_in="b1")) == "b2"
    assert remembered(seen("paused", Reason.USER)) == "b2"
    assert remembered(seen("shut off", Reason.UNKNOWN, ran_in="b1")) == "b1"
    # A host that goes down shuts its guests down first, and the panel may see that.
    soon, later = timedelta(minutes=2), timedelta(minutes=20)
    assert remembered(seen("shut off", Reason.SHUTDOWN, ran_in="b2", lasts=soon)) == "b2"
    assert remembered(seen("shut off", Reason.SHUTDOWN, ran_in="b2", lasts=later)) == ""
    assert remembered(seen("shut off", Reason.SHUTDOWN, ran_in="b2", asked=True)) == ""
    assert remembered(seen("shut off", Reason.DESTROYED, ran_in="b1")) == ""


def test_the_disks_that_stopped_it_are_named() -> None:
    def said(**errors: DiskError) -> str:
        told = words(seen("paused", Reason.IO_ERROR, disk_errors=errors))
        assert "resume home" in told.advice
        return told.headline

    assert said(vda=DiskError.NO_SPACE) == (
        "home is paused on alpha: its disk vda found no room to write, since 23:15"
    )
    assert "its disks vda and vdb found no room" in said(
        vdb=DiskError.NO_SPACE, vda=DiskError.NO_SPACE
    )
    assert "its disk vdb cannot be read or written" in said(
        vda=DiskError.NO_SPACE, vdb=DiskError.OTHER
    )
    assert "a disk of it could not be read or written" in said()


def test_what_ends_a_trouble() -> None:
    over = rule.is_over
    running, off = seen("running", Reason.BOOTED), seen("shut off", Reason.UNKNOWN)
    for each in ("vm-crashed", "vm-off"):
        assert over(each, running)
        assert not over(each, off)  # libvirt forgot why: it was not looked at yet
        assert not over(each, seen("shut off", Reason.SHUTDOWN))
    assert not over("vm-crashed", seen("paused", Reason.CRASHED))
    assert over("vm-paused", running)
    assert over("vm-paused", off)
    assert not over("vm-paused", seen("paused", Reason.UNKNOWN))
    assert not over("vm-paused", seen("paused", Reason.IO_ERROR))


def test_again_and_again() -> None:
    minutes = [NOW - timedelta(minutes=ago) for ago in (8, 4, 1)]
    facts = rule.again_and_again("home", "alpha", minutes, NOW)
    assert facts
    assert "3 times within 10 minutes, last at 23:14" in wording(facts, NOW).headline
    assert rule.again_and_again("home", "alpha", minutes[1:], NOW) is None
    spread = [NOW - timedelta(minutes=ago) for ago in (30, 15, 1)]
    assert rule.again_and_again("home", "alpha", spread, NOW) is None
    assert rule.has_restarted(seen("running", Reason.BOOTED, run=5, last_run=4, ran_in="b2"))
    assert not rule.has_restarted(seen("running", Reason.BOOTED, run=4, last_run=4, ran_in="b2"))
    assert not rule.has_restarted(seen("running", Reason.BOOTED, run=5, ran_in="b2"))
    assert not rule.has_restarted(
        seen("running", Reason.BOOTED, run=5, last_run=4, ran_in="b2", asked=True)
    )
    host_too = seen("running", Reason.BOOTED, run=1, last_run=4, ran_in="b1")
    assert not rule.has_restarted(host_too)


NAMES = {
    "running": "RUNNING",
    "paused": "PAUSED",
    "in shutdown": "SHUTDOWN",
    "shut off": "SHUTOFF",
    "crashed": "CRASHED",
}


def test_the_numbers_are_libvirts_own() -> None:
    """Held against the constants of the libvirt that is installed; an older one knows fewer."""
    # libvirt's names → ours, where they differ by more than case and underscores
    other = {
        "MIGRATION": "migrating", "SAVE": "saving", "DUMP": "dumping", "IOERROR": "I/O error",
        "SNAPSHOT": "creating snapshot", "POSTCOPY": "post-copy", "WAKEUP": "event wakeup",
        "POSTCOPY_FAILED": "post-copy failed",
    }  # fmt: skip
    for state, prefix in NAMES.items():
        assert vm_state.STATES[getattr(libvirt, f"VIR_DOMAIN_{prefix}")] == state
        start = f"VIR_DOMAIN_{prefix}_"
        named = [name for name in dir(libvirt) if name.startswith(start)]
        if state == "in shutdown":  # flags of another call begin alike
            named = [f"{start}UNKNOWN", f"{start}USER"]
        theirs = {name: getattr(libvirt, name) for name in named if not name.endswith("_LAST")}
        assert theirs
        for name, number in theirs.items():
            word = name.removeprefix(start)
            wanted = other.get(word, word.lower().replace("_", " "))
            assert vm_state.reason_of(state, number) == wanted, name
            assert vm_state.number_of(state, Reason(wanted)) == number
    assert vm_state.reason_of("paused", 99) is Reason.UNKNOWN
    assert vm_state.reason_of("blocked", 0) is Reason.UNKNOWN
    assert vm_state.state_of(99) == "no state"
