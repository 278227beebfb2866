"""The look at a machine, run for real on this one."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from labpanel.adapters.looks import host_facts
from labpanel.adapters.ssh import bundle
from labpanel.adapters.ssh import session as script_session
from labpanel.adapters.ssh.machine import Machine
from labpanel.lib.shapes import PANEL
from labpanel.onhost.looks import host_facts as script


def test_this_machine(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    facts = host_facts.look(Machine(PANEL), [str(tmp_path / "link"), "/not/there"])
    assert facts.cpus == os.cpu_count()
    assert facts.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    places = {mount.mount_point for mount in facts.mounts}
    assert "/proc" not in places
    assert "/sys" not in places
    assert facts.real_paths == {str(tmp_path / "link"): str((tmp_path / "real").resolve())}
    assert all(mount.size_bytes is not None for mount in facts.mounts)


def test_it_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    """A Python without any package, and away from this checkout, runs what is sent."""
    boot = (
        "import sys; sys.argv[0] = '-c'; sys.path[:] = [p for p in sys.path if 'packages' not in p]"
    )
    words = ["/usr/bin/python3", "-I", "-S", "-B", "-c", f"{boot}\n{script_session._BOOT}"]
    sources = json.dumps(["", bundle.sources_of(host_facts.PROGRAM)]).encode() + b"\n"
    done = subprocess.run(words, input=sources, capture_output=True, check=True, cwd=tmp_path)
    assert host_facts.read(json.loads(done.stdout)).kernel


def test_a_look_that_hangs_or_fails_is_none_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(script, "LOOK_SECONDS", 0.5)
    found = script.look_all(
        {"hangs": lambda: time.sleep(60), "fails": lambda: 1 / 0, "works": lambda: {"a": 1}}
    )
    assert found == {"hangs": None, "fails": None, "works": {"a": 1}}
    for _ in range(2):
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
