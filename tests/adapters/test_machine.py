"""Commands on this very machine, and the locks and sockets beside an SSH master."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.conf import settings

from labpanel.adapters.errors import (
    CommandFailed,
    HostKeyChanged,
    KeyRefused,
    TimedOut,
    Unreachable,
)
from labpanel.adapters.ssh.file_lock import locked
from labpanel.adapters.ssh.machine import Machine, beside, listens
from labpanel.adapters.ssh.openssh import Channel, explain, public_key, split_target
from labpanel.lib.shapes import PANEL, Endpoint

HERE = Machine(PANEL)
ALPHA = Endpoint("alpha", "olga@10.77.0.1", "ssh-ed25519 AAAA")


def test_words_are_passed_as_they_are() -> None:
    odd = "'\"$(reboot) `id` *\n家"
    assert HERE.run(["printf", "%s", odd], deadline=10).text == odd


def test_a_failure_names_the_command_and_its_last_words() -> None:
    with pytest.raises(CommandFailed, match="`sh` failed on .*: second") as failed:
        HERE.run(["sh", "-c", "echo first >&2; echo second >&2; exit 7"], deadline=10)
    assert failed.value.status == 7
    assert HERE.run(["sh", "-c", "exit 7"], deadline=10, ok=None).status == 7


@pytest.mark.parametrize("manners", ["", "trap '' TERM;"])
def test_a_command_that_does_not_end_is_ended_with_its_children(
    tmp_path: Path, manners: str
) -> None:
    told = tmp_path / "pid"
    script = f"(trap '' TERM; exec sleep 60) & echo $! > {told}; {manners} wait"
    with pytest.raises(TimedOut, match="gave no answer within"):
        HERE.run(["sh", "-c", script], deadline=0.5)
    assert state_of(int(told.read_text())) in {"", "Z"}


def state_of(pid: int) -> str:
    """The process's state in /proc (proc(5)), Z for a zombie; empty when it is gone."""
    for _ in range(100):
        try:
            found = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return ""
        if found[0] == "Z":
            return "Z"
        time.sleep(0.05)
    return found[0]


def test_a_left_over_socket_is_not_a_listening_one(tmp_path: Path) -> None:
    path = tmp_path / "c-1"
    assert not listens(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert listens(path)
    assert path.exists()
    assert not listens(path)
    assert not beside(path, ".lock").name.startswith("c-")


def test_a_lock_is_held_by_one_and_waited_for_with_a_deadline(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        locked(path, 1, "It"),
        pytest.raises(TimedOut, match="It is still busy"),
        locked(path, 0.1, "It"),
    ):
        pass
    with locked(path, 1, "It"):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = (
        "import fcntl,sys,time; f=open(sys.argv[1],'w'); fcntl.flock(f,2); print('x',flush=True);"
        "time.sleep(60)"
    )
    words = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.read(1)
        holder.kill()
        with locked(path, 10, "It"):
            pass


def test_many_threads_write_the_same_known_hosts() -> None:
    channel, broken = Channel(ALPHA), []

    def write() -> None:
        try:
            for _ in range(50):
                channel.known_hosts().unlink(missing_ok=True)
                channel.known_hosts()
        except OSError as error:
            if not isinstance(error, FileNotFoundError) or "known" not in str(error.filename):
                broken.append(error)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    assert channel.known_hosts().read_text() == f"{channel.alias} {ALPHA.host_key}\n"
    channel.known_hosts().unlink()


def test_the_key_is_made_once_for_all_who_ask_at_once() -> None:
    lines: list[str] = []
    threads = [threading.Thread(target=lambda: lines.append(public_key())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(lines)) == 1
    key = Path(settings.HOME_DIR) / "ssh" / "id_ed25519"
    assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "kind", "sentence"),
    [
        ("REMOTE HOST IDENTIFICATION HAS CHANGED!", HostKeyChanged, "another SSH host key"),
        ("Host key verification failed.", HostKeyChanged, "another SSH host key"),
        ("olga@x: Permission denied (publickey).", KeyRefused, "authorized_keys of olga on alpha"),
        ("ssh: Could not resolve hostname x", Unreachable, "no machine is known by that name"),
        ("connect to host x port 22: Connection refused", Unreachable, "the port is closed"),
        ("connect to host x: No route to host", Unreachable, "it is off or the network is cut"),
        ("Connection timed out", Unreachable, "no answer"),
        ("something new", Unreachable, "alpha does not answer over SSH at olga@10.77.0.1."),
    ],
)
def test_sshs_words_become_one_sentence(words: str, kind: type[Exception], sentence: str) -> None:
    error = explain(ALPHA, words)
    assert type(error) is kind
    assert sentence in error.sentence
    assert error.detail == words


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("root@10.0.0.1", ("root@10.0.0.1", 22)),
        ("root@box:2222", ("root@box", 2222)),
        ("root@fe80::1", ("root@fe80::1", 22)),
        ("root@[fe80::1]:2222", ("root@fe80::1", 2222)),
    ],
)
def test_targets(target: str, expected: tuple[str, int]) -> None:
    assert split_target(target) == expected


def test_nobody_is_trusted_silently() -> None:
    options = Channel(ALPHA).options()
    for wanted in ("StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null", "BatchMode=yes"):
        assert wanted in options
    Channel(ALPHA).known_hosts().unlink()
