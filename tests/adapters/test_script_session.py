"""What the user is told when a script on a machine does not end as it should."""

import errno

import pytest

from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ProgramSession
from labpanel.lib.shapes import PANEL
from labpanel.onhost.runtime import wire


def test_a_script_that_breaks_is_no_machine_that_is_away() -> None:
    with (
        ProgramSession(Machine(PANEL), "runtime.plain") as session,
        pytest.raises(AdapterError, match="program on .* failed: ") as broke,
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
        (
            OSError(errno.EIO, "Input/output error"),
            'reading or writing one of the files asked for failed: "Input/output error".',
        ),
    ],
)
def test_trouble_with_files_is_a_sentence(error: OSError, sentence: str) -> None:
    assert wire._spelled(error, {"verb": "read", "number": 3}) == sentence


def test_a_failing_read_names_the_file_that_was_asked_for() -> None:
    """read(2) and write(2) fail without a name."""
    error = OSError(errno.EIO, "Input/output error")
    asked = {"path": "/srv/images/store.qcow2", "offset": 7}
    assert wire._spelled(error, asked) == (
        'reading or writing /srv/images/store.qcow2 failed: "Input/output error".'
    )
