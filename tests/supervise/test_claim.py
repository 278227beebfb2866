"""Who holds a home: one at a time, for as long as it lives and no longer."""

import os
import subprocess
import sys
from pathlib import Path

from labpanel.supervise.claim import Claim, Holder, start_of
from labpanel.supervise.down import down


def test_only_the_first_takes_it(tmp_path: Path) -> None:
    first, second = Claim(tmp_path), Claim(tmp_path)
    assert first.take()
    assert not second.take()


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    taker = (
        "import pathlib, sys; from labpanel.supervise.claim import Claim;"
        "sys.exit(not Claim(pathlib.Path(sys.argv[1])).take())"
    )
    subprocess.run([sys.executable, "-c", taker, str(tmp_path)], check=True, timeout=30)
    assert Claim(tmp_path).take()


def test_the_holder_is_found_with_its_address(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    claim.write("http://127.0.0.1:1")
    assert claim.holder() == Holder(os.getpid(), start_of(os.getpid()), "http://127.0.0.1:1")


def test_a_number_that_went_to_another_process_is_nobody() -> None:
    assert not Holder(os.getpid(), start_of(os.getpid()) - 1, "").lives()


def test_a_process_that_never_was_is_nobody() -> None:
    assert start_of(2**22 + 1) == -1


def test_a_damaged_record_is_nobody(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    for text in ("", "{", "[]", '{"pid": 1}'):
        claim.record.write_text(text)
        assert claim.holder() is None


def test_down_without_a_panel_is_done(tmp_path: Path) -> None:
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    assert down(Claim(tmp_path), sockets) == 0
    assert not sockets.exists()


def test_down_leaves_a_panel_alone_that_is_just_starting(tmp_path: Path) -> None:
    starting = Claim(tmp_path)
    assert starting.take()
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    assert down(Claim(tmp_path), sockets) == 1
    assert sockets.exists()


def test_a_zombie_does_not_live() -> None:
    child = subprocess.Popen(["sleep", "60"])
    started = start_of(child.pid)  # while it lives: a zombie has none
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert not Holder(child.pid, started, "").lives()
    finally:
        child.wait()
