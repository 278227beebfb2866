"""Known, unknown, never: what the last looks say."""

from datetime import UTC, datetime, timedelta

import pytest

from hosts.rules.health.presence import STALE, Presence, of_vm, presence
from hosts.rules.placement.needs import missing
from hosts.rules.placement.ownership import claims
from hosts.rules.placement.paths import holder
from labpanel.adapters.looks.host_facts import Tools
from labpanel.lib.shapes import LibvirtSocket

NOW = datetime(2026, 11, 22, 23, 15, tzinfo=UTC)
SEEN = NOW - timedelta(seconds=15)


def test_seen_lately_is_up() -> None:
    assert presence(SEEN, None, "", NOW) == Presence("up", None, "")


def test_failing_is_unknown_since_it_was_last_seen() -> None:
    found = presence(SEEN, NOW, "it hangs", NOW)
    assert found == Presence("unknown", SEEN, "it hangs")


def test_never_seen_says_why() -> None:
    assert presence(None, SEEN, "no key", NOW) == Presence("never", SEEN, "no key")
    assert presence(None, None, "", NOW).reason == "It was not looked at yet."


def test_a_look_that_nobody_took_again_goes_stale() -> None:
    assert presence(NOW - STALE, None, "", NOW).is_up
    found = presence(NOW - STALE - timedelta(seconds=1), None, "", NOW)
    assert found.state == "unknown"
    assert "panel" in found.reason


def test_a_vm_is_known_only_with_host_and_libvirt() -> None:
    up = Presence("up", None, "")
    gone = Presence("unknown", SEEN, "the cable is cut")
    hung = Presence("unknown", NOW, "libvirt hangs")
    assert of_vm(up, up).is_up
    assert of_vm(up, hung) == hung
    assert of_vm(gone, up) == gone
    assert of_vm(gone, hung) == Presence("unknown", SEEN, "the cable is cut")
    assert of_vm(up, Presence("never", None, "no libvirt")).state == "never"


@pytest.mark.parametrize(
    ("owner", "other", "expected"),
    [
        ("running", "paused", False),  # the receiving end of a move
        ("running", "running", True),
        ("running", "shut off", True),
        ("shut off", "running", True),
        ("shut off", "paused", True),
        ("shut off", "shut off", True),
    ],
)
def test_one_uuid_on_two_hosts_is_a_contradiction(owner: str, other: str, expected: bool) -> None:
    assert claims(owner, other) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/srv/images/a", 2),
        ("/srv/imagesx/a", 1),
        ("/srv/images", 2),
        ("/srv/images/deep/a", 3),
        ("relative", None),
    ],
)
def test_the_deepest_mount_holds_a_path(path: str, expected: int | None) -> None:
    assert holder(path, [("/", 1), ("/srv/images", 2), ("/srv/images/deep", 3)]) == expected


def test_a_libvirt_that_may_not_be_opened_comes_first() -> None:
    there = (True, True, False)
    tools = Tools("libvirtd", LibvirtSocket.LIBVIRTD, False, *there, False, True, True, "olga")
    found = missing(tools)
    assert [lack["what"] for lack in found] == ["access to libvirt", "virsh", "smartctl"]
    assert found[0]["command"] == "sudo usermod -aG libvirt olga"
