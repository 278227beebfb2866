"""Hosts whose root has another login shell than bash: real sshd, real shells."""

import os
import shutil
from pathlib import Path

import pytest

from labpanel.adapters.errors import CommandFailed, Refused
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.looks import canary, host_facts, proc_text
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.remote_words import command_line
from labpanel.lib.shapes import PANEL
from tests.adapters import sshd

SHELLS = ("/bin/sh", "/bin/bash", "/bin/tcsh", "/bin/bsd-csh", "/usr/bin/fish", "/bin/zsh")
ODD = [
    "'\"$(reboot) `id` *\n家 ! !! \\\\ \\n {a,b} ~ #x %b %% $HOME ;|&<>?[]^",
    "",
    "-n",
    "a!b\\!c\n\n",
    "/srv/VM\u00a0images/[old] (1).qcow2",
]
PRINT = "import sys; print(ascii(sys.argv[1:]))"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "more", [[], ["x" * 60_000], [f"/srv/images/{n}.qcow2" for n in range(200)]]
)
def test_any_shell_reads_the_same_words(shell: str, more: list[str]) -> None:
    if not Path(shell).exists():
        pytest.skip(f"{shell} is not here")
    line = command_line(["python3", "-c", PRINT, *ODD, *more])
    assert Machine(PANEL).run([shell, "-c", line], deadline=20).text.strip() == ascii([*ODD, *more])


def test_plain_words_stay_readable() -> None:
    assert command_line(["cat", "/proc/stat"]) == "env LC_ALL=C cat /proc/stat"


@pytest.mark.skipif(os.geteuid() != 0, reason="sshd changes to the user it lets in")
@pytest.mark.parametrize("shell", ["tcsh", "bsd-csh", "fish"])
@pytest.mark.parametrize("noise", ["", 'echo "  tip: use {braces}"\n'])
def test_a_host_with_another_login_shell(tmp_path: Path, shell: str, noise: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not here")
    with sshd.running(tmp_path, noise, login_shell=program) as alpha:
        machine = Machine(alpha)
        assert machine.run(["printf", "%s", ODD[0]], deadline=20).text == ODD[0]
        assert machine.run(["sh", "-c", "exit 7"], deadline=20, ok=None).status == 7
        with pytest.raises(CommandFailed, match="`sh` failed on alpha: mine"):
            machine.run(["sh", "-c", "echo mine >&2; exit 1"], deadline=20)
        assert host_facts.look(machine).boot_id
        assert {probe["folder"] for probe in canary.look(alpha, ["/"])["probes"]} >= {"/"}
        assert proc_text.parse(machine.run(proc_text.COMMAND, deadline=20, ok=None).text).uptime > 1
        with ImageHost(machine) as images:
            assert images.existing(["/proc", "/not/there"]) == ["/proc"]


@pytest.mark.skipif(os.geteuid() != 0, reason="sshd changes to the user it lets in")
@pytest.mark.parametrize("locale", ["de_DE.UTF-8", "ja_JP.eucJP", "C", "no_SUCH"])
def test_a_host_of_another_locale(tmp_path: Path, locale: str) -> None:
    folder = tmp_path / "家 ü"
    folder.mkdir()
    export = f"export LANG={locale} LC_ALL={locale} LANGUAGE=de\n"
    with sshd.running(tmp_path, export) as alpha:
        said = Machine(alpha).run(["ls", "/not/there"], deadline=20, ok=None).stderr.decode()
        assert "No such file or directory" in said
        probes = canary.look(alpha, [str(folder)])["probes"]
        assert [each["outcome"] for each in probes if each["folder"] == str(folder)] == ["ok"]


@pytest.mark.skipif(os.geteuid() != 0, reason="sshd changes to the user it lets in")
def test_an_account_without_a_shell_is_told(tmp_path: Path) -> None:
    with (
        sshd.running(tmp_path, login_shell="/usr/sbin/nologin") as alpha,
        pytest.raises(Refused, match="login shell"),
    ):
        Machine(alpha).run(["true"], deadline=20)
