"""A task that hangs stands on the settings page while a worker says so."""

import pytest
from django.test import Client

from labpanel.supervise import late_tasks
from labpanel.supervise.overdue import Late
from tests.fakes.turn_cache import FakeTurnCache
from tests.pages.lab import Lab


def test_what_hangs_is_said_on_the_settings_page(
    monkeypatch: pytest.MonkeyPatch, signed_in: Client, lab: Lab
) -> None:
    shelf = FakeTurnCache()
    monkeypatch.setattr("labpanel.home.selectors.late_tasks.RedisTurnCache", lambda: shelf)
    said = "The task hosts.tasks.probe_host for alpha has been running for 7"
    assert said not in signed_in.get("/settings/").content.decode()
    late_tasks.write(shelf, "quick", [Late("hosts.tasks.probe_host", lab.alpha.pk, 420.0)])
    assert said in signed_in.get("/settings/").content.decode()
    shelf.loses = True
    assert said not in signed_in.get("/settings/").content.decode()
