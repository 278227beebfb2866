"""The look at a machine, run for real on this one."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from labpanel.adapters import host_facts
from labpanel.adapters.machine import Machine
from labpanel.lib.shapes import PANEL


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("host_facts_script", host_facts.SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_it_needs_nothing_but_the_standard_library() -> None:
    words = ["/usr/bin/python3", "-I", "-S", "-B", "-"]
    done = subprocess.run(
        words, input=host_facts.SCRIPT.read_bytes(), capture_output=True, check=True
    )
    assert host_facts.read(json.loads(done.stdout)).kernel


def test_a_look_that_hangs_or_fails_is_none_and_holds_up_nobody(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
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


MOUNTINFO = r"""
20 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro
21 20 0:5 / /proc rw - proc proc rw
22 20 0:22 / /run rw - tmpfs tmpfs rw
23 20 8:1 /srv/a /bind rw - ext4 /dev/sda1 rw
24 20 8:17 /sub /early rw - ext4 /dev/sdb1 rw
25 20 8:17 / /srv/with\040space ro - ext4 /dev/sdb1 ro
26 20 0:40 / /nas rw - nfs4 nas:/share rw
27 20 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro
28 20 0:41 /@home /home rw - btrfs /dev/sdc1 rw,subvol=/@home
29 20 0:41 /@ /data rw - btrfs /dev/sdc1 rw,subvol=/@
"""


def test_real_file_systems_each_once(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "/proc/filesystems": "nodev\tproc\nnodev\ttmpfs\nnodev\tnfs4\n\text4\n\tbtrfs\n\tsquashfs",
        "/proc/self/mountinfo": MOUNTINFO.strip(),
    }
    monkeypatch.setattr(script, "read", lambda path, default="": said[str(path)])
    found = {mount["mount_point"]: mount for mount in script.mounts()}
    assert sorted(found) == ["/", "/home", "/nas", "/srv/with space"]
    assert found["/"]["also_at"] == ["/bind"]
    assert found["/srv/with space"]["also_at"] == ["/early"]
    assert found["/home"]["also_at"] == ["/data"]
    assert found["/"]["options"] == "rw,relatime,errors=remount-ro"
    assert found["/srv/with space"]["options"] == "ro"


def test_the_script_is_one_file_that_python_3_9_can_read() -> None:
    """Debian 11's Python: hosts may be older than the panel's machine."""
    import ast

    ast.parse(host_facts.SCRIPT.read_text("utf-8"), feature_version=(3, 9))
    assert sys.version_info >= (3, 11)
