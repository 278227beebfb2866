"""What a command may say, and what it costs when it says more."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labpanel.adapters.answers import bounded
from labpanel.adapters.errors import Excessive, TimedOut
from labpanel.adapters.ssh.machine import Machine
from labpanel.lib.shapes import PANEL

HERE = Machine(PANEL)
MIB = 1 << 20
# A child that measures itself: what the call adds to the process's peak, in KiB (getrusage(2)).
MEASURE = """
import resource, sys
import django; django.setup()
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.ssh.machine import Machine
from labpanel.lib.shapes import PANEL
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    Machine(PANEL).run(["sh", "-c", sys.argv[1]], deadline=60)
except AdapterError as error:
    print(error.sentence)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
ENDLESS = {
    "stdout": "head -c 2147483648 /dev/zero",
    "stderr": "head -c 2147483648 /dev/zero >&2",
    "lines": "yes | head -c 2147483648",
    "both": "yes & head -c 2147483648 /dev/zero >&2",
    "tail": "head -c 3000000 /dev/zero; exec head -c 2147483648 /dev/zero >&2",
}


@pytest.mark.parametrize("program", ENDLESS.values(), ids=list(ENDLESS))
def test_two_gib_cost_a_few_mib_and_the_command_is_ended(program: str) -> None:
    words = [sys.executable, "-c", MEASURE, program]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    sentence, grown = done.stdout.splitlines()
    assert "answered `sh` with more than" in sentence
    assert int(grown) < 32 * 1024


def test_the_largest_answer_is_read_whole_and_one_byte_more_is_not() -> None:
    most = 1 * MIB
    words = ["head", "-c", str(most), "/dev/zero"]
    assert len(HERE.run(words, deadline=20, most=most).stdout) == most
    with pytest.raises(Excessive, match="more than 1 MiB: the answer is not used"):
        HERE.run(["head", "-c", str(most + 1), "/dev/zero"], deadline=20, most=most)


def test_one_that_never_pauses_is_late_all_the_same() -> None:
    program = "while :; do echo x; sleep 0.001; done"
    with pytest.raises(TimedOut, match="gave no answer within 1 s"):
        HERE.run(["sh", "-c", program], deadline=1)


def test_a_command_that_reads_nothing_and_one_that_reads_slowly() -> None:
    much = b"x" * (8 * MIB)
    assert HERE.run(["true"], deadline=20, stdin=much).status == 0
    slow = "sleep 0.3; wc -c"
    assert HERE.run(["sh", "-c", slow], deadline=20, stdin=much).text.strip() == str(8 * MIB)


def test_a_child_that_keeps_the_pipe_open_is_late(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    process = subprocess.Popen(
        ["sh", "-c", f"sleep 60 & echo $! > {told}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process, pytest.raises(bounded.Late):
        bounded.communicate(process, until=time.monotonic() + 0.5)
    os.kill(int(told.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("noise", "after"),
    [
        (b"", b""),
        (b"Welcome to alpha!\n\n{}\n", b"logged out\n"),
        (b"no newline", b"no newline"),
        (b"\x00\xff" * 100, b"\x00"),
    ],
)
@pytest.mark.parametrize("text", [b"", b"plain\n", b"no end", b"\n\n", b"0" * 32 + b"\n"])
def test_what_stands_around_the_frame_is_no_part_of_the_answer(
    noise: bytes, after: bytes, text: bytes
) -> None:
    mark = "6d61726b" * 4
    words = bounded.framed(["printf", "%s", text.decode()], mark)
    done = subprocess.run(words, capture_output=True, check=True)
    assert bounded.between(noise + done.stdout + after, mark) == text
    assert bounded.between(done.stderr, mark) == b""


def test_an_answer_that_was_cut_off_or_is_another_s_has_no_frame() -> None:
    mark = "6d61726b" * 4
    line = mark.encode() + b"\n"
    for text in (b"", b"hello\n", line, line + b"half", b"\n" + line, b"half\n" + line):
        assert bounded.between(text, mark) is None


def test_the_status_is_the_command_s() -> None:
    for words, status in ((["sh", "-c", "exit 7"], 7), (["/nowhere/to/be/found"], 127)):
        done = subprocess.run(bounded.framed(words, "m" * 32), capture_output=True, check=False)
        assert done.returncode == status
