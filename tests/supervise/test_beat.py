"""The table of turns, counted by a clock that cannot be set."""

import logging
from typing import Any

import pytest
from celery.schedules import schedule

from labpanel.celery import TURNS, app
from labpanel.supervise.beat import Turns


class Watched(Turns):
    """Counts instead of sending."""

    producer: Any = None  # no broker is asked for

    def __init__(self, *args: Any, **more: Any) -> None:
        self.now = 1000.0
        self.sent: list[str] = []
        super().__init__(*args, **more)

    def clock(self) -> float:
        return self.now

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.sent.append(entry.name)

    def over(self, seconds: float) -> list[str]:
        """What is sent in the next so many seconds."""
        self.sent, until = [], self.now + seconds
        while self.now < until:
            self.now += max(self.tick(), 0.01)
        return self.sent


@pytest.fixture
def turns() -> Watched:
    return Watched(app=app, lazy=False)


def test_celery_s_own_schedule_stops_for_an_hour_when_the_clock_goes_back() -> None:
    """Why there is one of ours: this is what Celery answers."""
    every: Any = schedule(10, app=app)
    last = every.now()
    back = every.now().replace(year=last.year - 1)
    every.nowfun = lambda: back
    assert every.is_due(last).next > 3600


def test_everything_is_due_at_the_start(turns: Watched) -> None:
    turns.tick()
    assert set(TURNS) <= set(turns.sent)


def test_each_comes_as_often_as_the_table_says_whatever_the_wall_clock_does(
    turns: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns.tick()
    for jump in (-3600, 3600, -400 * 86_400):
        monkeypatch.setattr(type(app), "now", lambda self, jump=jump: _ahead(jump))
        sent = turns.over(600)
        for name, (every, _) in TURNS.items():
            assert abs(sent.count(name) - 600 / every) <= 1, (jump, name)


def test_a_machine_that_stood_still_makes_up_for_nothing(turns: Watched) -> None:
    turns.tick()
    turns.now += 3600
    assert turns.over(0.005).count("hosts.tasks.sample_all") == 1


def test_a_broker_that_is_away_costs_a_turn_and_not_beat(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    scheduler = Turns(app=app, lazy=False)

    def away(*args: Any, **more: Any) -> None:
        raise OSError("Connection refused")

    monkeypatch.setattr(Turns, "producer", None)
    monkeypatch.setattr(Turns, "apply_async", away)
    assert scheduler.tick() <= 10
    assert "Connection refused" in caplog.text


def _ahead(seconds: float) -> Any:
    from datetime import UTC, datetime, timedelta

    return datetime.now(UTC) + timedelta(seconds=seconds)
