"""A script's connection to a machine that answers as an attacker would."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ProgramSession, ScriptRefused
from labpanel.lib.shapes import PANEL

HOSTILE = Path(__file__).with_name("hostile.py")


class Hostile(Machine):
    """This machine, where another program runs instead of the panel's."""

    def __init__(self, conduct: str) -> None:
        super().__init__(PANEL)
        self._conduct = conduct

    def argv(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, str(HOSTILE), self._conduct]


ENDS = {
    "endless line": "sent a line of more than 6 MiB: the connection was ended",
    "endless noise": "sent more than 1 MiB that labpanel's program did not write",
    "endless short noise": "sent more than 1 MiB that labpanel's program did not write",
    "endless events": "sent more events than labpanel's program sends",
    "endless errors": "The connection to the panel's machine",
    "many values": "is not used: it holds more than 250000 values",
    "deep": "is not used: it holds more than|is nested too deeply",
    "number": "is not used: a number in it is none, or has too many digits",
    "list": "sent a message that makes no sense",
    "without mark": "said nothing for 2 s",
    "no more": "said nothing for 2 s",
}
# What one call adds to the peak of a process, in KiB (getrusage(2)), and how it ended.
MEASURE = """
import resource, sys
import django; django.setup()
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.ssh.session import ProgramSession
from tests.adapters.test_hostile_session import Hostile
with ProgramSession(Hostile("polite"), "images.guard") as session:
    session.call("boot", deadline=20)  # what every call needs is loaded
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with ProgramSession(Hostile(sys.argv[1]), "images.guard") as session:
    try:
        print(len(session.call("boot", deadline=20)))
    except AdapterError as error:
        print(error.sentence)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(("conduct", "sentence"), ENDS.items(), ids=list(ENDS))
def test_each_ends_in_one_sentence(conduct: str, sentence: str) -> None:
    told: list[object] = []
    with (
        ProgramSession(Hostile(conduct), "images.guard") as session,
        pytest.raises(AdapterError, match=sentence) as ended,
    ):
        session.call("boot", deadline=2, on_progress=told.append)
    assert len(ended.value.sentence) < 200
    assert session._process.poll() is not None
    assert len(told) < 2000


@pytest.mark.parametrize(
    "conduct",
    [
        "endless line",
        "endless noise",
        "endless short noise",
        "endless events",
        "endless errors",
        "many values",
        "wide text",
    ],
)
def test_what_never_ends_costs_less_than_64_mib(conduct: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, conduct],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert int(done.stdout.splitlines()[-1]) < 64 * 1024


def test_banners_and_noise_around_the_messages_do_no_harm() -> None:
    with ProgramSession(Hostile("polite"), "images.guard") as session:
        assert session.call("boot", deadline=20) == "answer"


def test_an_error_without_words_is_a_no_all_the_same() -> None:
    with (
        ProgramSession(Hostile("odd error"), "images.guard") as session,
        pytest.raises(ScriptRefused),
    ):
        session.call("boot", deadline=20)


def test_the_real_script_speaks_behind_its_mark() -> None:
    with ProgramSession(Machine(PANEL), "images.exporter") as session:
        assert session.call("existing", deadline=20, paths=["/proc"]) == ["/proc"]
        assert session._mark.encode() not in session._lines._buffer
