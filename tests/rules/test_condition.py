"""A VM's row: the worst of its host, of itself and of its copies, in words."""

import pytest

from hosts.rules.health.condition import Condition, Touch, condition, worst_of


@pytest.mark.parametrize(
    ("case", "found"),
    [
        ({}, ("good", "running")),
        ({"state": "shut off", "on": False}, ("good", "off")),
        ({"state": "paused"}, ("watch", "paused")),
        ({"state": "crashed", "on": False}, ("bad", "crashed")),
        ({"known": False}, ("unknown", "unknown")),
        ({"missing": True}, ("bad", "missing")),
        # what the host suffers from is the VM's trouble where its disks lie there
        ({"touches": [Touch("file-system", "bad", "host")]}, ("bad", "cannot write")),
        ({"touches": [Touch("drive", "bad", "host")]}, ("bad", "its drive fails")),
        ({"touches": [Touch("drive", "watch", "host")]}, ("watch", "its drive is to be watched")),
        (
            {"touches": [Touch("drive", "watch", "host"), Touch("file-system", "bad", "host")]},
            ("bad", "cannot write"),
        ),
        # a silent host does not take back what it suffered from
        (
            {"known": False, "touches": [Touch("file-system", "bad", "host")]},
            ("bad", "cannot write"),
        ),
        ({"known": False, "touches": [Touch("host", "bad", "host")]}, ("unknown", "unknown")),
        # its own
        ({"state": "crashed", "on": False, "touches": [Touch("vm-crashed", "bad", "vm")]},
         ("bad", "crashed")),
        ({"state": "paused", "touches": [Touch("vm-paused", "bad", "vm")]},
         ("bad", "paused by an error")),
        ({"touches": [Touch("vm-restarts", "bad", "vm")]}, ("bad", "starts again and again")),
        ({"state": "shut off", "on": False, "touches": [Touch("vm-off", "bad", "vm")]},
         ("bad", "off since its host started")),
        # a kind that is not known here is trouble all the same
        ({"touches": [Touch("new-kind", "bad", "vm")]}, ("bad", "in trouble")),
        ({"touches": [Touch("new-kind", "watch", "vm")]}, ("watch", "to be looked at")),
    ],
)  # fmt: skip
def test_condition(case: dict, found: tuple[str, str]) -> None:
    case = {"state": "running", "on": True, "missing": False, "known": True, "touches": [], **case}
    assert condition(**case) == Condition(*found)


@pytest.mark.parametrize(
    ("own", "copy", "found"),
    [
        (("good", "running"), ("good", "copy 77 s ago"), ("good", "copy 77 s ago")),
        (
            ("bad", "cannot write"),
            ("good", "copy 77 s ago"),
            ("bad", "cannot write · copy 77 s ago"),
        ),
        (("good", "running"), ("bad", "vda has no copy"), ("bad", "vda has no copy")),
        (("unknown", "unknown"), ("good", "copy 77 s ago"), ("unknown", "unknown · copy 77 s ago")),
        (("watch", "paused"), ("bad", "no copy"), ("bad", "paused · no copy")),
        (("bad", "crashed"), ("watch", "not read back"), ("bad", "crashed · not read back")),
        (("good", "off"), ("excluded", "left out"), ("good", "left out")),
    ],
)
def test_the_worst_leads_and_both_are_said(
    own: tuple[str, str], copy: tuple[str, str], found: tuple[str, str]
) -> None:
    assert worst_of(Condition(*own), *copy) == Condition(*found)
