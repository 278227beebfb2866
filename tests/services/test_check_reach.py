"""A door of a host that stays shut is a trouble of its own, in its own words."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from hosts.models import VM, Finding, Host
from hosts.services.checks.check_reach import check_reach
from labpanel.adapters.ssh import forwarding
from tests.services.looked import Ground

NOW = datetime(2026, 11, 22, 2, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def two_vms(ground: Ground, settings: Any) -> None:
    settings.TIME_ZONE = "UTC"
    for name in ("home", "web"):
        VM.objects.create(
            uuid=uuid4(), name=name, host=ground.alpha, first_seen_at=NOW, seen_at=NOW
        )


@pytest.mark.parametrize(
    ("kind", "field", "sentence"),
    [
        ("host", "failing_since", "alpha does not answer since 02:20"),
        (
            "libvirt",
            "libvirt_failing_since",
            "libvirt on alpha does not answer since 02:20",
        ),
    ],
)
def test_after_the_grace_it_is_said(ground: Ground, kind: str, field: str, sentence: str) -> None:
    Host.objects.update(**{field: NOW})
    check_reach(ground.alpha, NOW + timedelta(seconds=29))
    assert not Finding.objects.exists()
    check_reach(ground.alpha, NOW + timedelta(seconds=31))
    found = Finding.objects.get()
    assert (found.kind, found.sentence) == (kind, sentence)
    assert found.vms.count() == 2
    Host.objects.update(**{field: None})
    check_reach(ground.alpha, NOW + timedelta(seconds=60))
    found.refresh_from_db()
    assert found.resolved_at is not None


def test_a_no_is_said_in_its_own_words(ground: Ground) -> None:
    error = forwarding.forbidden("alpha").sentence
    Host.objects.update(
        libvirt_failing_since=NOW, libvirt_error=error, libvirt_refused=True, seen_at=NOW
    )
    check_reach(ground.alpha, NOW + timedelta(seconds=31))
    found = Finding.objects.get()
    assert found.sentence == (
        "sshd on alpha forbids forwarding (AllowStreamLocalForwarding), so libvirt and disks "
        "there cannot be reached (since 02:20)"
    )
    assert found.advice.startswith("Set `AllowStreamLocalForwarding yes` in")
    assert "restart" not in found.advice


def test_a_key_that_is_refused_is_no_silence(ground: Ground) -> None:
    error = "alpha does not accept the panel's key. Add the line that it prints."
    Host.objects.update(failing_since=NOW, error=error, refused=True)
    check_reach(ground.alpha, NOW + timedelta(seconds=31))
    found = Finding.objects.get()
    assert found.sentence == "alpha does not accept the panel's key (since 02:20)"
    assert found.advice == "Add the line that it prints."


def test_libvirt_behind_a_dead_host_is_not_a_second_trouble(ground: Ground) -> None:
    Host.objects.update(failing_since=NOW, libvirt_failing_since=NOW)
    check_reach(ground.alpha, NOW + timedelta(minutes=5))
    assert Finding.objects.get().kind == "host"
