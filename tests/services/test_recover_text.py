"""RECOVER.txt followed by hand, with stand-ins for QEMU and libvirt: what it puts where, and that
it stops before anything is written over."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backups.services.backup.recover_text import write
from labpanel.lib.left_out import LeftOut, LeftOutKind
from tests.made_manifests import VM, asked_disk, value

FILES = {
    "kernel": "boot dir/vmlinuz",
    "nvram.fd": "nvram/it's VARS.fd",
    "tpm2-00.permall": f"swtpm/{VM}/tpm2/tpm2-00.permall",
}
# `qemu-img convert … IMAGE TARGET` copies; all else succeeds and is told, as of virsh.
TOOL = '#!/bin/sh\n[ "$1" != convert ] || { shift 4; cp "$1" "$2"; }\necho "$0 $*" >>"$TOLD"\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "generation"
    folder.mkdir()
    for name in ("vda.qcow2", *FILES):
        (folder / name).write_text(name)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("qemu-img", "virsh"):
        (tools / name).write_text(TOOL)
        (tools / name).chmod(0o755)
    return folder


def text(place: Path, **more: Any) -> str:
    target = place.parent / "host"
    disk = asked_disk("vda", source=f"{target}/images/home-vda.raw", source_format="raw")
    beside = {name: f"{target}/{path}" for name, path in FILES.items()}
    return write(value(disks=[disk], left_out=[], **more), (), beside)


def follow(place: Path, words: str) -> subprocess.CompletedProcess[str]:
    told = {"PATH": f"{place.parent}/bin:{os.environ['PATH']}", "TOLD": f"{place.parent}/told"}
    commands = words[words.index("set -eu") :]
    return subprocess.run(
        ["sh", "-c", commands],
        cwd=place,
        env=told,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_everything_lands_where_the_definition_expects_it(place: Path) -> None:
    done = follow(place, text(place))
    assert done.returncode == 0, done.stderr
    for name, path in FILES.items():
        assert (place.parent / "host" / path).read_text() == name
    assert (place.parent / "host/images/home-vda.raw").read_text() == "vda.qcow2"
    assert "virsh start" in (place.parent / "told").read_text()
    again = follow(place, text(place))
    assert again.returncode != 0  # the disk lies there by now


def test_the_same_kernel_may_lie_there_and_another_one_stops_it(place: Path) -> None:
    kernel = place.parent / "host" / FILES["kernel"]
    kernel.parent.mkdir(parents=True)
    kernel.write_text("kernel")
    assert follow(place, text(place)).returncode == 0
    for path in (place.parent / "host").rglob("*"):
        if path.is_file():
            path.unlink()
    kernel.write_text("another")
    assert follow(place, text(place)).returncode != 0
    assert kernel.read_text() == "another"
    assert not (place.parent / "host/images/home-vda.raw").exists()


@pytest.mark.parametrize("name", ["nvram.fd", "tpm2-00.permall"])
def test_a_state_that_lies_there_stops_it(place: Path, name: str) -> None:
    there = place.parent / "host" / FILES[name]
    there.parent.mkdir(parents=True)
    there.write_text("of another VM")
    assert follow(place, text(place)).returncode != 0
    assert there.read_text() == "of another VM"
    assert not (place.parent / "host/images/home-vda.raw").exists()


def test_it_says_everything_only_of_what_is_everything(place: Path) -> None:
    assert "This directory holds everything: one qcow2 image" in text(place)
    lacks = [
        LeftOut(LeftOutKind.TPM, "TPM 2.0").as_json(),
        LeftOut(LeftOutKind.HOSTDEV, "PCI device 1").as_json(),
    ]
    made = value(left_out=lacks)
    words = write(made)
    assert "holds everything" not in words
    assert "It does not hold everything that home had:" in words
    assert "- The state of the TPM 2.0 is not in this copy." in words
    assert "- The passed-through PCI device 1 is not in this copy" in words
    assert max(map(len, words.splitlines())) <= 100
