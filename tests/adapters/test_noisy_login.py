"""Hosts whose login files print, whose shell refuses, or that send without an end: real SSH."""

import os
from pathlib import Path

import pytest

from labpanel.adapters.errors import CommandFailed, Excessive, Refused
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.looks import canary, host_facts, proc_text
from labpanel.adapters.ssh.machine import Machine
from tests.adapters import sshd

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="sshd changes to the user it lets in")
NOISE = """
echo "Welcome to alpha!"; echo '{"ok": "banner", "mounts": []}'; echo '==> /proc/uptime <=='
echo "1.0 2.0"; printf 'no line end'; echo "warning: disk is old" >&2; printf 'no end' >&2
trap 'echo "Goodbye."; echo "Goodbye." >&2' EXIT
"""


def test_login_files_that_print_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "banner").write_text("Authorized use only.\n")
    with sshd.running(tmp_path, NOISE, f"Banner {tmp_path}/banner") as alpha:
        machine = Machine(alpha)
        assert machine.run(["printf", "%s", "a b"], deadline=20).stdout == b"a b"
        assert machine.run(["sh", "-c", "exit 7"], deadline=20, ok=None).status == 7
        with pytest.raises(CommandFailed, match="`sh` failed on alpha: mine"):
            machine.run(["sh", "-c", "echo mine >&2; exit 1"], deadline=20)
        assert host_facts.look(machine).boot_id
        assert {probe["folder"] for probe in canary.look(alpha, ["/"])["probes"]} >= {"/"}
        reading = proc_text.parse(machine.run(proc_text.COMMAND, deadline=20, ok=None).text)
        assert reading.uptime > 1.0
        with ImageHost(machine) as images:
            assert images.existing(["/proc", "/not/there"]) == ["/proc"]


def test_a_host_that_runs_something_else_is_told_so(tmp_path: Path) -> None:
    with (
        sshd.running(tmp_path, "", "ForceCommand echo hello") as alpha,
        pytest.raises(Refused, match="did not run `true` to its end: a forced command"),
    ):
        Machine(alpha).run(["true"], deadline=20)


def test_a_login_file_that_ends_the_session_is_told_so(tmp_path: Path) -> None:
    with (
        sshd.running(tmp_path, "exit 0") as alpha,
        pytest.raises(Refused, match="did not run `true` to its end"),
    ):
        Machine(alpha).run(["true"], deadline=20)


@pytest.mark.parametrize("program", ["yes", "yes >&2", "cat /dev/zero"])
def test_a_host_that_sends_without_an_end_is_cut_off(tmp_path: Path, program: str) -> None:
    with (
        sshd.running(tmp_path, "", f"ForceCommand {program}") as alpha,
        pytest.raises(Excessive, match="alpha answered `python3` with more than"),
    ):
        host_facts.look(Machine(alpha))
