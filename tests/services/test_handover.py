"""Where the VM is after an answer was lost, for each way to lose one. Exactly one runs, ever."""

import itertools
from typing import Any, cast

import pytest

from labpanel.adapters.errors import AdapterError, TimedOut, Unreachable
from labpanel.lib.shapes import Endpoint
from labpanel.moves.services import handover
from labpanel.moves.services.ends import End, Ends
from labpanel.moves.services.handover import Handover, HandoverOutcome, Whereabouts
from tests.fakes.moving import MIGRATED, OFF, PAUSED, RUNNING, FakeEnd

IMAGE = "/srv/images/web.qcow2"
KEPT = f"{IMAGE}.moved-1"
FOREIGN = "/srv/images/other.qcow2"
SILENT = Unreachable("It does not answer.")
HAND = Handover(
    uuid="u-web",
    name="web",
    source="alpha",
    destination="beta",
    token="t0",
    way="live",
    made=[IMAGE],
    left=[IMAGE],
    suffix=".moved-1",
    runs=True,
    autostart=True,
)


@pytest.fixture
def alpha() -> FakeEnd:
    return FakeEnd("alpha", RUNNING, files={IMAGE: "", FOREIGN: ""})


@pytest.fixture
def beta() -> FakeEnd:
    return FakeEnd("beta", PAUSED, files={IMAGE: "t0", FOREIGN: ""})


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "ABORT_SECONDS", 0.1)
    monkeypatch.setattr(handover, "RETRY_SECONDS", 0)


def ends(source: FakeEnd, destination: FakeEnd) -> Ends:
    return Ends(_end(source), _end(destination), "t0")


def _end(fake: FakeEnd) -> End:
    return End(Endpoint(fake.name, f"root@{fake.name}"), fake, cast("Any", fake))


def resolve(source: FakeEnd, destination: FakeEnd) -> HandoverOutcome:
    return handover.resolve(ends(source, destination), HAND)


def test_the_source_still_runs_it_and_nothing_arrived(alpha: FakeEnd, beta: FakeEnd) -> None:
    beta.domain = None
    outcome = resolve(alpha, beta)
    assert outcome == HandoverOutcome(Whereabouts.SOURCE, "web runs on alpha as before.")
    assert alpha.runs
    assert beta.files == {FOREIGN: ""}


def test_the_last_answer_was_lost_and_the_source_went_on(alpha: FakeEnd, beta: FakeEnd) -> None:
    assert resolve(alpha, beta).place == Whereabouts.SOURCE
    assert alpha.runs
    assert beta.domain is None
    assert beta.files == {FOREIGN: ""}


def test_the_last_answer_was_lost_and_the_source_had_let_go(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.domain = None
    assert resolve(alpha, beta).place == Whereabouts.DESTINATION
    assert beta.runs
    assert beta.autostart
    assert alpha.files == {KEPT: "", FOREIGN: ""}
    assert beta.files == {IMAGE: "", FOREIGN: ""}


def test_the_source_let_go_but_kept_the_definition(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.domain, alpha.reason = OFF, MIGRATED
    assert resolve(alpha, beta).place == Whereabouts.DESTINATION
    assert "undefine" in alpha.did
    assert beta.runs


def test_the_guest_switched_itself_off_on_the_way(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.domain = OFF
    outcome = resolve(alpha, beta)
    assert outcome == HandoverOutcome(Whereabouts.SOURCE, "web is on alpha as before.")
    assert (alpha.domain, beta.domain) == (OFF, None)


def test_a_migration_that_goes_on_without_us_is_stopped(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.job = True
    assert resolve(alpha, beta).place == Whereabouts.SOURCE
    assert "abort_move" in alpha.did
    assert alpha.runs


def test_a_migration_that_does_not_stop_leaves_all_as_it_is(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.job = True
    alpha.fails["abort_move"] = TimedOut("It hangs.")
    assert resolve(alpha, beta).place == Whereabouts.UNKNOWN
    assert beta.domain == PAUSED
    assert beta.files[IMAGE] == "t0"


def test_a_silent_source_proves_nothing(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.fail_all(SILENT)
    outcome = resolve(alpha, beta)
    assert outcome.place == Whereabouts.UNKNOWN
    assert "beta stays paused" in outcome.sentence
    assert beta.domain == PAUSED
    assert beta.files[IMAGE] == "t0"
    assert "resume" not in beta.did


def test_a_silent_source_is_settled_when_it_answers(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.fail_all(SILENT)
    assert resolve(alpha, beta).place == Whereabouts.UNKNOWN
    alpha.fails.clear()
    assert resolve(alpha, beta).place == Whereabouts.SOURCE
    assert (alpha.runs, beta.domain) == (True, None)


def test_a_source_that_cannot_have_lost_it_is_named(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.fail_all(SILENT)
    beta.domain = None
    assert "it can only be on alpha" in resolve(alpha, beta).sentence


def test_a_silent_destination_does_not_stop_the_source(alpha: FakeEnd, beta: FakeEnd) -> None:
    beta.fail_all(SILENT)
    outcome = resolve(alpha, beta)
    assert outcome.place == Whereabouts.UNKNOWN
    assert "web runs on alpha as before" in outcome.sentence
    beta.fails.clear()
    assert resolve(alpha, beta).place == Whereabouts.SOURCE
    assert beta.files == {FOREIGN: ""}


def test_a_silent_destination_with_the_vm_is_waited_for(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.domain = None
    beta.fail_all(SILENT)
    assert "waits on beta" in resolve(alpha, beta).sentence
    beta.fails.clear()
    assert resolve(alpha, beta).place == Whereabouts.DESTINATION
    assert beta.runs


def test_a_lost_answer_to_resume_is_no_harm(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.domain = None
    beta.loses["resume"] = TimedOut("No answer.")
    with pytest.raises(TimedOut):
        resolve(alpha, beta)
    beta.loses.clear()
    assert resolve(alpha, beta).place == Whereabouts.DESTINATION
    assert beta.runs
    assert beta.did.count("resume") == 1


def test_somebody_else_started_the_copy(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.domain, beta.domain = OFF, RUNNING
    outcome = resolve(alpha, beta)
    assert outcome.place == Whereabouts.UNKNOWN
    assert (alpha.domain, beta.domain) == (OFF, RUNNING)
    assert beta.files[IMAGE] == "t0"


def test_nobody_has_it_and_nothing_is_removed(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.domain = beta.domain = None
    outcome = resolve(alpha, beta)
    assert outcome.place == Whereabouts.UNKNOWN
    assert IMAGE in outcome.sentence
    assert beta.files[IMAGE] == "t0"
    assert IMAGE in alpha.files


def test_a_file_without_our_mark_is_never_removed(alpha: FakeEnd, beta: FakeEnd) -> None:
    beta.domain, beta.files[IMAGE] = None, "somebody else's"
    assert resolve(alpha, beta).place == Whereabouts.SOURCE
    assert beta.files[IMAGE] == "somebody else's"


def test_a_domain_that_is_not_the_copy_is_left_alone(alpha: FakeEnd, beta: FakeEnd) -> None:
    beta.domain, beta.files = OFF, {"/srv/images/elsewhere.qcow2": "somebody else's"}
    assert resolve(alpha, beta).place == Whereabouts.SOURCE
    assert beta.domain == OFF
    assert "undefine" not in beta.did


def test_what_cannot_be_tidied_up_is_said_and_the_vm_runs(alpha: FakeEnd, beta: FakeEnd) -> None:
    alpha.domain = None
    alpha.fails["aside"] = Unreachable("/srv/images is read-only.")
    outcome = resolve(alpha, beta)
    assert outcome.place == Whereabouts.DESTINATION
    assert "could not be renamed on alpha: /srv/images is read-only." in outcome.sentence
    assert beta.runs


def test_finish_refuses_while_the_source_runs(alpha: FakeEnd, beta: FakeEnd) -> None:
    with pytest.raises(AdapterError, match="still runs on alpha"):
        handover.finish(ends(alpha, beta), HAND)
    assert beta.domain == PAUSED


STATES = (None, RUNNING, PAUSED, OFF)
CUTS = ("state", "job_stats", "resume", "destroy", "undefine", "remove", "aside", "unmark")


@pytest.mark.parametrize("here", STATES)
@pytest.mark.parametrize("there", STATES)
@pytest.mark.parametrize("reason", [1, MIGRATED])
def test_cut_anywhere_never_two_run_and_no_disk_is_lost(
    here: int | None, there: int | None, reason: int
) -> None:
    """Every pair of states, cut at every verb on either side before or after it was done, then
    settled once more with both hosts answering."""
    for side, verb, lost in itertools.product((0, 1), CUTS, ("fails", "loses")):
        pair = (
            FakeEnd("alpha", here, reason, files={IMAGE: ""}),
            FakeEnd("beta", there, files={IMAGE: "t0"}),
        )
        if pair[0].runs and pair[1].runs:
            continue  # was so before, done by hand
        getattr(pair[side], lost)[verb] = SILENT
        for _ in range(2):
            try:
                resolve(*pair)
            except AdapterError:
                pass  # what the service writes down as open
            assert not (pair[0].runs and pair[1].runs)
            # The host that has the VM has its disks under their name.
            assert pair[0].domain is None or IMAGE in pair[0].files
            assert pair[1].domain is None or IMAGE in pair[1].files
            assert IMAGE in pair[0].files or KEPT in pair[0].files
            getattr(pair[side], lost).clear()
