"""The owner's word on the clock, from a phone too."""

import re

import pytest
from django.test import Client

from labpanel.adapters.here import clocks
from labpanel.clock.services.doubt import doubt
from labpanel.clock.services.look import look
from labpanel.lib.clock import ClockReading
from tests.pages.lab import Lab

DAYS = 3 * 86_400.0


@pytest.fixture
def ahead(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    look()
    began = clocks.read()
    now = ClockReading(began.boot, began.uptime + 15, began.wall + 15 + DAYS)
    monkeypatch.setattr(clocks, "read", lambda: now)


def test_the_overview_leads_to_the_question_and_the_answer_ends_the_doubt(
    signed_in: Client, ahead: None
) -> None:
    page = signed_in.get("/clock/").content.decode()
    assert re.search(r"jumped 3\Wd ahead", page)
    assert "It is wrong: change nothing" in page
    assert doubt()
    assert signed_in.post("/clock/").status_code == 302
    assert doubt() == ""
    assert "The clock is believed." in signed_in.get("/clock/").content.decode()


def test_the_overview_names_the_clock_among_what_is_wrong(
    signed_in: Client, lab: Lab, ahead: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = "labpanel.home.views.overview.public_key"
    monkeypatch.setattr(where, lambda: "ssh-ed25519 AAAA panel")
    assert re.search(r"jumped 3\Wd ahead", signed_in.get("/").content.decode())
