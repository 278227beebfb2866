"""The lab in one sentence: the worst comes first, and good is only said when all is."""

from dataclasses import dataclass
from datetime import UTC, datetime

from labpanel.home.state import DiskState, Silence, headline

NOW = datetime(2026, 8, 18, 2, 14, tzinfo=UTC)


@dataclass
class Trouble:
    severity: str
    sentence: str
    advice: str = "Do this."
    opened_at: datetime = NOW
    where: str = "alpha"


BAD, WATCH = Trouble("bad", "alpha cannot write."), Trouble("watch", "sda grows old.")
SILENT = Silence("beta", NOW, "No route.", ("web",))
NONE = DiskState("home", "vdb", "bad", "There is no backup of this disk.")
UNREAD = DiskState("home", "vda", "watch", "Never read back.")
SAFE = DiskState("web", "vda", "good", "Kept.")


def test_worst_first() -> None:
    said = headline([WATCH, BAD], [SILENT], [UNREAD, NONE, SAFE], 2, 2)
    assert (said.level, said.title, said.since) == ("bad", "alpha cannot write.", NOW)
    assert said.more == [
        "beta does not answer.",
        "vdb of home: there is no backup of this disk.",
        "sda grows old.",
        "vda of home: never read back.",
    ]


def test_a_silent_host_names_what_is_unknown() -> None:
    said = headline([], [SILENT], [SAFE], 2, 2)
    assert said.title == "beta does not answer."
    assert said.text == "No route. What web does is unknown."


def test_several_disks_are_one_sentence() -> None:
    many = [DiskState("home", f"vd{letter}", "bad", "None.") for letter in "abcdef"]
    said = headline([], [], many, 1, 1)
    assert said.title == "6 virtual disks would be lost with their host."
    assert said.text.endswith("vdd of home and 2 others.")
    assert said.to_coverage


def test_all_is_well_only_when_it_is() -> None:
    assert headline([], [], [SAFE], 2, 3).level == "good"
    unknown = DiskState("home", "vda", "unknown", "alpha does not answer.")
    assert headline([], [], [SAFE, unknown], 2, 3).level == "unknown"
    for finding in (BAD, WATCH):
        assert headline([finding], [], [SAFE], 2, 3).level != "good"


def test_without_disks_nothing_is_claimed_of_copies() -> None:
    assert "copy" not in headline([], [], [], 1, 0).text


def test_what_is_left_out_on_purpose_is_not_called_kept() -> None:
    out = DiskState("home", "vdb", "excluded", "olga took it out: swap")
    assert "Every disk but 1 disk left out on purpose" in headline([], [], [SAFE, out], 2, 3).text
    assert "copy" not in headline([], [], [out], 2, 3).text


def test_a_clock_that_is_not_believed_is_said_before_what_is_old() -> None:
    jumped = "The clock of the panel's machine jumped 60 min ahead."
    said = headline([], [], [DiskState("home", "vda", "watch", "It is old.")], 1, 1, (), jumped)
    assert (said.level, said.title) == ("watch", jumped)
    assert said.to_clock
    assert "./panel clock confirm" in said.text
    assert len(said.more) == 1
