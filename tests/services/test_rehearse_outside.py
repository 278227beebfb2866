"""A rehearsal whose guest cannot be asked for all: its disks are looked at from outside."""

from backups.models import Generation
from backups.selectors.copies.rehearsals import latest_of
from labpanel.jobs.states import State
from tests.fakes.rehearsing import Ground
from tests.services.test_rehearse import done, generation, ground

__all__ = ["generation", "ground"]  # fixtures


def test_a_guest_without_an_agent_passes_by_its_console_and_its_disks(
    ground: Ground, generation: Generation
) -> None:
    ground.silent_for, ground.console = 10**9, "silent login: "
    job = done(generation)
    assert job.state == State.DONE, job.sentence
    assert "2 disks and 2 file systems were opened from outside" in job.sentence
    assert generation.rehearsed_at is not None
    assert ground.asked.index("end_transient") < ground.asked.index("appliance.begin")


def test_a_silent_guest_says_what_is_on_its_disks_all_the_same(
    ground: Ground, generation: Generation
) -> None:
    ground.silent_for, ground.console = 10**9, "Linux version 6.1\n"
    sentence = done(generation).sentence
    assert "2 disks and 2 file systems are as they should be" in sentence
    assert "not proven that it boots" in sentence
    assert generation.rehearsed_at is None


def test_a_host_without_libguestfs_says_what_to_install(
    ground: Ground, generation: Generation
) -> None:
    ground.silent_for, ground.console, ground.has_guestfs = 10**9, "silent login: ", False
    job = done(generation)
    shown = latest_of(generation)
    assert shown is not None
    outside = next(one for one in shown.checks if one["what"] == "A look from outside")
    assert "apt install python3-guestfs" in outside["seen"]
    assert (job.state, generation.rehearsed_at) == (State.FAILED, None)


def test_files_are_counted_from_outside_where_the_agent_may_not(
    ground: Ground, generation: Generation
) -> None:
    ground.inside["copy trees"] = "nothing that ends as it should"
    job = done(generation)
    assert job.state == State.DONE, job.sentence
    assert job.result is not None
    counted = [one for one in job.result["checks"] if one["what"] == "Files in /home"]
    assert [one["passed"] for one in counted] == [True]
