"""What speaks against a backup, what room it needs, and names for what is restored."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.rules.backup import fit, scratch
from backups.rules.restore.naming import file_stem, free_name, wrong_name
from labpanel.lib.disks import SourceDisk

DISK = SourceDisk("vda", "disk", "file", "/srv/images/home.qcow2", "qcow2")


def reasons(disk: SourceDisk, *, busy: bool = False) -> str:
    return " ".join(fit.obstacles("home", [disk], busy=busy))


@pytest.mark.parametrize(
    ("qemu", "pushed"),
    [
        (7_002_013, False),
        (7_002_014, True),
        (7_002_022, True),
        (8_002_002, True),
        (9_000_000, False),
        (10_002_002, False),
        (0, True),
    ],
)
def test_an_iothread_is_never_served_by_affected_versions(qemu: int, pushed: bool) -> None:
    threaded = replace(DISK, iothread=True)
    assert fit.needs_push([DISK, threaded], qemu) is pushed
    assert fit.needs_push([DISK], qemu) is False
    assert reasons(threaded) == ""


@pytest.mark.parametrize(
    ("disk", "word"),
    [
        (replace(DISK, kind="network"), "network disk"),
        (replace(DISK, format="vmdk"), "vmdk"),
        (replace(DISK, shareable=True), "shared"),
        (replace(DISK, transient=True), "transient"),
        (replace(DISK, encrypted=True), "vda of home is encrypted, and QEMU has its key"),
        (replace(DISK, encrypted=True, format="raw"), "would read it in plain text"),
        (replace(DISK, encrypted=True, kind="block"), "is encrypted"),
        (replace(DISK, sliced=True, format="raw"), "part of a larger file (slices)"),
    ],
)
def test_what_cannot_be_kept_safely_is_named(disk: SourceDisk, word: str) -> None:
    assert word in reasons(disk)


def test_all_reasons_come_at_once() -> None:
    found = fit.obstacles(
        "home",
        [replace(DISK, shareable=True), replace(DISK, target="vdb", kind="network")],
        busy=True,
    )
    assert len(found) == 3
    assert "no disk" in fit.obstacles("home", [], busy=False)[0]


@given(st.integers(0, 1 << 45), st.integers(1, 1 << 45), st.integers(0, 1 << 44))
def test_a_backup_never_starts_below_the_floor_it_gives_up_at(
    available: int, size: int, virtual: int
) -> None:
    if scratch.enough(available, size, virtual):
        assert available >= scratch.floor(size)
        reserve = scratch.reserve(available, size, virtual)
        assert reserve.limit < reserve.reserved or reserve.reserved < 5
        assert available - reserve.limit >= scratch.floor(size)


@pytest.mark.parametrize("name", ["", "  ", "a/b", "../x", "tab\there", "line\nbreak", "x" * 201])
def test_names_that_libvirt_or_a_file_system_cannot_hold(name: str) -> None:
    assert wrong_name(name)


@pytest.mark.parametrize("name", ["home", "quo\"te's", "$(touch pwned)", "two words", "日本語"])
def test_odd_names_are_names(name: str) -> None:
    assert wrong_name(name) == ""


@given(st.text())
def test_a_file_stem_is_always_one_harmless_name(name: str) -> None:
    stem = file_stem(name, "fallback")
    assert stem
    assert not stem.startswith(".")
    assert not set(stem) & set("/\0 $'\"<>&;|\n")
    assert len(stem.encode()) <= 200


def test_a_free_name_is_free() -> None:
    assert free_name("home", {"home"}) == "home-restored"
    assert free_name("home", {"home-restored", "home-restored-2"}) == "home-restored-3"


def test_a_thin_disk_larger_than_its_drive_is_backed_up_while_it_runs() -> None:
    gib = 1 << 30
    assert scratch.enough(6 * gib, 8 * gib, 2048 * gib)
    assert scratch.enough(20 * gib, 500 * gib, 400 * gib)
    assert not scratch.enough(gib, 500 * gib, 400 * gib)
