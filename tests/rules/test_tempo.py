"""The panel's pauses: their defaults, and what they may be set to."""

from dataclasses import asdict

import pytest
from django.core.exceptions import ImproperlyConfigured

from labpanel import env
from labpanel.celery import TURNS
from labpanel.lib import tempo

PROMISED = {
    "look_at_hosts": 15,
    "check_health": 30,
    "check_drives": 60,
    "check_old_blocks": 60,
    "look_at_stores": 120,
    "make_way_for_snapshots": 30,
    "tend_instant": 15,
    "run_policies": 60,
    "look_at_clock": 15,
    "reap": 15,
    "settle": 15,
    "copy_panel": 900,
    "job_beat": 5,
    "job_silent": 30,
    "job_unsent": 60,
    "owed_again": 15,
    "owed_longest": 120,
    "health_grace": 60,
    "reach_grace": 30,
    "move_stalled": 60,
    "ssh_alive": 5,
}


def test_without_a_word_the_pauses_are_the_promised_ones() -> None:
    assert asdict(tempo.parse("")) == PROMISED


def test_the_beat_has_the_turns_of_this_process() -> None:
    assert TURNS["hosts.tasks.probe_all"][0] == tempo.NOW.look_at_hosts
    assert TURNS["labpanel.jobs.tasks.reap"][0] == tempo.NOW.reap
    assert TURNS["backups.tasks.look_at_stores"][0] == tempo.NOW.look_at_stores


def test_what_is_said_counts_and_the_rest_stays() -> None:
    said = tempo.parse(" look_at_hosts=4.5\treap=4 ")
    assert asdict(said) == PROMISED | {"look_at_hosts": 4.5, "reap": 4}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("raep=4", "LABPANEL_TEMPO names 'raep'; there are check_drives,"),
        ("reap=0", "LABPANEL_TEMPO holds 'reap=0'; write name=seconds, up to a day."),
        ("reap=-1", "LABPANEL_TEMPO holds 'reap=-1'"),
        ("reap=nan", "LABPANEL_TEMPO holds 'reap=nan'"),
        ("reap=86401", "LABPANEL_TEMPO holds 'reap=86401'"),
        ("reap", "LABPANEL_TEMPO holds 'reap'"),
        ("reap=soon", "LABPANEL_TEMPO holds 'reap=soon'"),
    ],
)
def test_what_is_no_pause_stops_the_start(
    text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABPANEL_TEMPO", text)
    with pytest.raises(ImproperlyConfigured) as refused:
        env.tempo()
    assert str(refused.value).startswith(sentence)
