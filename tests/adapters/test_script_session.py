"""What the user is told when a script on a machine does not end as it should."""

import errno

import pytest

from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.adapters.machine import Machine
from labpanel.adapters.script_session import Session
from labpanel.adapters.scripts import wire
from labpanel.lib.shapes import PANEL


def test_a_script_that_breaks_is_no_machine_that_is_away() -> None:
    with (
        Session(Machine(PANEL), ("wire", "source")) as session,
        pytest.raises(AdapterError, match="program on .* broke: ") as broke,
    ):
        session.call("boot", deadline=20, nonsense=1)
    assert not isinstance(broke.value, Unreachable)
    assert "Traceback" in broke.value.detail


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.EROFS, "Read-only file system", "/srv/store/x"),
            "/srv/store/x cannot be written: its file system is mounted read-only.",
        ),
        (OSError(errno.EIO, "Input/output error", "/srv/x"), "/srv/x: Input/output error."),
        (OSError(errno.EIO, "Input/output error"), "[Errno 5] Input/output error."),
    ],
)
def test_trouble_with_files_is_a_sentence(error: OSError, sentence: str) -> None:
    assert wire._spelled(error) == sentence
