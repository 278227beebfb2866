"""The measurements measure what they say: the history that they make, the processes they read."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hosts.models import TIERS, Sample1h, Sample5m, Sample10s, Subject
from hosts.services.samples.roll_up import roll_up
from lab.bench import __main__ as bench
from lab.bench import history, made_up_lab, processes, scratch
from lab.bench.pages import addresses
from labpanel import env
from labpanel.lib.packed import unpack
from labpanel.supervise.claim import Claim
from tests.services import sampled
from tests.services.sampled import START

TWO_DAYS = 2 * 86_400


@pytest.mark.django_db
def test_history_fills_every_tier_as_sampling_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "YEAR", TWO_DAYS)
    monkeypatch.setattr(history, "FLAVOURS", 1)
    subject = Subject.objects.create(kind="nic", name="52:54", vm=sampled.vm(sampled.host()))
    values = history.fill(START)
    rows = {tier: tier._default_manager.count() for tier in TIERS}
    assert rows[Sample10s] == TWO_DAYS // 10
    assert rows[Sample5m] == TWO_DAYS // 300
    assert rows[Sample1h] == 48
    assert values == 2 * rows[Sample10s] + 6 * sum(rows[tier] for tier in TIERS[1:])
    low, _, mean, _, high, _ = unpack(bytes(Sample1h.objects.first().packed))  # type: ignore[union-attr]
    assert 0 <= low < mean < high
    subject.refresh_from_db()
    assert subject.latest_at == START - 10
    assert len(unpack(bytes(subject.recent))) == 60
    roll_up(START)
    assert Sample1h.objects.count() == rows[Sample1h], "a panel goes on from there"


@pytest.mark.django_db
def test_every_page_that_can_be_named_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_up_lab, "VMS", 5)
    monkeypatch.setattr(made_up_lab, "DAYS_OF_GENERATIONS", 2)
    monkeypatch.setattr(made_up_lab, "JOBS", 2)
    made_up_lab.make()
    found = addresses()
    assert {"/", "/coverage/", "/hosts/host0/", "/jobs/"} <= set(found)
    assert "/hosts/host0/series.json?range=1y" in found
    assert not [address for address in found if address.startswith(("/events", "/sign-out"))]


def test_a_panel_s_processes_are_those_below_its_supervisor(tmp_path: Path) -> None:
    assert processes.of_panel(tmp_path) == []
    below = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    claim = Claim(tmp_path)
    try:
        claim.write("http://127.0.0.1:1")  # this process as the supervisor
        found = {process.pid: process for process in processes.of_panel(tmp_path)}
    finally:
        below.communicate(timeout=20)
    assert {os.getpid(), below.pid} <= set(found)
    own = found[os.getpid()]
    assert 0 < own.pss <= own.rss
    assert own.cpu > 0


def test_an_unknown_measurement_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        bench.main(["speed"])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert all(name in error for name in bench.NAMES)


def test_only_a_home_that_was_made_for_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, made = tmp_path / "owner", tmp_path / "made"
    monkeypatch.setenv(scratch.INSIDE, str(owner))
    monkeypatch.setattr(env, "runtime", lambda: tmp_path / "runtime")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for home in (owner, made):
        home.mkdir()
        (home / "labpanel.sqlite3").touch()
    (made / scratch._MARK).touch()
    for home in (owner, made):
        monkeypatch.setattr(env, "home", lambda home=home: home)
        with scratch.removed_afterwards():
            pass
    assert (owner / "labpanel.sqlite3").exists()
    assert not made.exists()
