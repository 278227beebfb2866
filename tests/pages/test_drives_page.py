"""What the host's page says of drives that cannot be asked, and of old answers."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Host, PhysicalDisk, Reading
from hosts.services.checks import note_unread_drives
from labpanel.adapters.errors import AdapterError, CommandFailed, Missing
from tests.pages.factory import make_host

pytestmark = pytest.mark.django_db


def page(client: Client, host: Host) -> str:
    return re.sub(r"\s+", " ", client.get(host.get_absolute_url()).content.decode())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CommandFailed("sudo refused.", 1, "sudo: no"), "sudo refused."),
        (Missing("sudo is not installed on alpha."), "sudo is not installed on alpha."),
    ],
)
def test_the_reason_stands_there(signed_in: Client, error: AdapterError, words: str) -> None:
    host = make_host()
    note_unread_drives.not_asked(host, error, timezone.now())
    text = page(signed_in, host)
    assert f"The health of the drives of alpha cannot be read: {words}" in text
    assert "alpha is well" not in text


def test_an_old_answer_is_not_shown_as_good(signed_in: Client) -> None:
    host = make_host()
    disk = PhysicalDisk.objects.get(host=host)
    value = {"level": "good", "reason": "nothing speaks against it", "state": "read"}
    now = timezone.now()
    said = Reading.objects.create(
        host=host, kind="smart", subject=disk.key, value=value, first_at=now, last_at=now
    )
    assert "its drives report no trouble" in page(signed_in, host)
    said.last_at = now - timedelta(minutes=20)
    said.save()
    text = page(signed_in, host)
    assert "its drives report no trouble" not in text
    assert "it has not answered for more than 15 min; its last answer was good" in text
