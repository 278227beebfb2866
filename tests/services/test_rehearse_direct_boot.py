"""Rehearsing a VM that starts a kernel of its host: the kept one, else its disks are looked at."""

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone

from backups.models import Generation
from backups.selectors.copies.rehearsals import latest_of
from backups.selectors.coverage.coverage import coverage
from backups.services.rehearsal import run as rehearsal_run
from labpanel.jobs.states import State
from tests.fakes.beside import FakeBesideHost
from tests.fakes.rehearsing import Ground
from tests.made_manifests import with_files
from tests.services.test_rehearse import KEY, XML, done, generation, ground

__all__ = ["generation", "ground"]  # fixtures

KERNEL, INITRD = b"kernel" * 200_000, b"initrd"
BOOT = "<kernel>/boot/vmlinuz</kernel><initrd>/boot/initrd.img</initrd><cmdline>ro</cmdline>"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeBesideHost:
    made = FakeBesideHost()
    monkeypatch.setattr(rehearsal_run, "BesideHost", lambda _: made)
    return made


def direct(ground: Ground, generation: Generation, **kept: bytes) -> None:
    ground.xml = XML.replace("hvm</type>", f"hvm</type>{BOOT}")
    files = {"domain.xml": hashlib.sha256(ground.xml.encode()).hexdigest()}
    for name, content in kept.items():
        ground.small[KEY, name] = content
        files[name] = hashlib.sha256(content).hexdigest()
    generation.manifest = with_files(generation.manifest, files)
    generation.save()


def booted(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The definitions that are started."""
    seen: list[str] = []
    ground.during_boot = lambda: seen.extend(ground.domains.values())
    return seen


def test_it_starts_the_kept_kernel(
    host: FakeBesideHost,
    ground: Ground,
    generation: Generation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    direct(ground, generation, kernel=KERNEL, initrd=INITRD)
    seen = booted(ground, monkeypatch)
    job = done(generation)
    assert job.state == State.DONE, job.sentence
    kernel, initrd = host.held
    assert (host.held[kernel], host.held[initrd]) == (KERNEL, INITRD)
    assert f"<kernel>{kernel}</kernel><initrd>{initrd}</initrd>" in seen[0]
    assert "/boot/vmlinuz" not in seen[0]
    assert {"workspace.give kernel", "workspace.give initrd"} <= set(ground.asked)


def test_a_kept_kernel_that_was_changed_is_not_booted(
    host: FakeBesideHost, ground: Ground, generation: Generation
) -> None:
    direct(ground, generation, kernel=KERNEL, initrd=INITRD)
    ground.small[KEY, "kernel"] = b"another"
    job = done(generation)
    assert "kernel of generation" in job.sentence
    assert "start_transient" not in ground.asked


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({}, "/boot/vmlinuz and /boot/initrd.img, which it starts, are not in this copy."),
        ({"kernel": KERNEL}, "/boot/initrd.img, which it starts, is not in this copy."),
    ],
)
def test_without_it_the_disks_are_looked_at_and_that_is_what_is_said(
    host: FakeBesideHost,
    ground: Ground,
    generation: Generation,
    kept: dict[str, bytes],
    said: str,
) -> None:
    direct(ground, generation, **kept)
    job = done(generation)
    assert (job.state, job.detail) == (State.FAILED, "")
    assert "2 disks and 2 file systems are as they should be" in job.sentence
    assert f"but it was not booted: {said}" in job.sentence
    assert "start_transient" not in ground.asked
    assert "appliance.begin" in ground.asked
    assert host.held == {}
    shown = latest_of(generation)
    assert shown is not None
    first = shown.checks[0]
    assert (first["passed"], first["seen"]) == (None, f"It was not booted: {said}")
    generation.refresh_from_db()
    assert generation.rehearsed_at is None


def test_coverage_says_which_proof_there_is(
    host: FakeBesideHost, ground: Ground, generation: Generation
) -> None:
    direct(ground, generation)
    done(generation)
    now = timezone.now()
    for target in ("vda", "vdb"):
        generation.disks.create(
            target=target,
            source=f"/srv/{target}",
            virtual_bytes=1,
            read_bytes=1,
            written_bytes=1,
            seconds=1,
        )
    Generation.objects.update(verified_at=now - timedelta(minutes=5))
    rows = coverage(now)
    assert [row.verdict for row in rows] == ["unrehearsed", "unrehearsed"]
    for row in rows:
        assert row.reason.startswith("Read back and whole, but no copy was ever booted")
        assert "2 disks and 2 file systems are as they should be" in row.reason
        assert "but it was not booted" in row.reason
