"""The lab in one sentence: the worst comes first, and good is only said when all is."""

from dataclasses import dataclass
from datetime import UTC, datetime

from labpanel.home.state import DiskState, Silence, say

NOW = datetime(2026, 8, 18, 2, 14, tzinfo=UTC)


@dataclass
class Trouble:
    severity: str
    sentence: str
    advice: str = "Do this."
    opened_at: datetime = NOW


BAD, WATCH = Trouble("bad", "alpha cannot write."), Trouble("watch", "sda grows old.")
SILENT = Silence("beta", NOW, "No route.", ("web",))
NONE = DiskState("home", "vdb", "bad", "There is no backup of this disk.")
UNREAD = DiskState("home", "vda", "watch", "Never read back.")
SAFE = DiskState("web", "vda", "good", "Kept.")


def test_worst_first() -> None:
    said = say([WATCH, BAD], [SILENT], [UNREAD, NONE, SAFE], 2, 2)
    assert (said.level, said.title, said.since) == ("bad", "alpha cannot write.", NOW)
    assert said.more == [
        "beta does not answer.",
        "vdb of home: there is no backup of this disk.",
        "sda grows old.",
        "vda of home: never read back.",
    ]


def test_a_silent_host_names_what_is_unknown() -> None:
    said = say([], [SILENT], [SAFE], 2, 2)
    assert said.title == "beta does not answer."
    assert said.text == "No route. What web does is unknown."


def test_several_disks_are_one_sentence() -> None:
    many = [DiskState("home", f"vd{letter}", "bad", "None.") for letter in "abcdef"]
    said = say([], [], many, 1, 1)
    assert said.title == "6 virtual disks would be lost with their host."
    assert said.text.endswith("vdd of home and 2 others.")
    assert said.to_coverage


def test_all_is_well_only_when_it_is() -> None:
    assert say([], [], [SAFE], 2, 3).level == "good"
    unknown = DiskState("home", "vda", "unknown", "alpha does not answer.")
    assert say([], [], [SAFE, unknown], 2, 3).level == "unknown"
    for finding in (BAD, WATCH):
        assert say([finding], [], [SAFE], 2, 3).level != "good"


def test_without_disks_nothing_is_claimed_of_copies() -> None:
    assert "copy" not in say([], [], [], 1, 0).text


def test_what_is_left_out_on_purpose_is_not_called_kept() -> None:
    out = DiskState("home", "vdb", "excluded", "olga took it out: swap")
    assert "Every disk but 1 disk left out on purpose" in say([], [], [SAFE, out], 2, 3).text
    assert "copy" not in say([], [], [out], 2, 3).text
