"""The panel's pauses: how often it looks, and how long it waits for what is silent.

All in seconds. `LABPANEL_TEMPO` sets some of them anew, for the whole panel, as `name=seconds` with
blanks between: `LABPANEL_TEMPO="look_at_hosts=5 job_silent=12"`. The practice lab's tests do, so
that they wait less. `labpanel.env.tempo` refuses the start where the setting is no such list.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields

SETTING = "LABPANEL_TEMPO"
_LONGEST = 86400.0


@dataclass(frozen=True, slots=True)
class Tempo:
    """Turns of the beat first (labpanel/celery.py), then what is waited for. Samples are not here:
    10 s is the grain of what is kept of them."""

    look_at_hosts: float = 15
    check_health: float = 30
    check_drives: float = 60
    check_old_blocks: float = 60
    look_at_stores: float = 120
    make_way_for_snapshots: float = 30
    tend_instant: float = 15
    run_policies: float = 60
    look_at_clock: float = 15
    reap: float = 15
    settle: float = 15
    copy_panel: float = 900

    job_beat: float = 5
    """A running job sends a heartbeat this often."""
    job_silent: float = 30
    """A running job that said nothing for so long has lost its worker."""
    job_unsent: float = 60
    """A waiting job that no worker took for so long is sent again."""
    owed_again: float = 15
    """What is owed to a host and could not be paid is tried again after so long, then after twice
    that, and so on."""
    owed_longest: float = 120
    """At the latest it is tried again after so long."""
    health_grace: float = 60
    """A host that answers, and whose health cannot be looked at for so long, is in trouble."""
    reach_grace: float = 30
    """So is a host, or its libvirt, that does not answer: two turns, one lost answer is nothing."""
    move_stalled: float = 60
    """A live migration that moves nothing for so long is given up."""
    ssh_alive: float = 5
    """A silent SSH connection is asked this often; three times without an answer end it."""


def parse(text: str) -> Tempo:
    """What `LABPANEL_TEMPO` says. Raises ValueError, with a sentence, for a name that is not here
    and for what is not a time."""
    known = {field.name for field in fields(Tempo)}
    said = dict(_pairs(text))
    unknown = sorted(set(said) - known)
    if unknown:
        raise ValueError(f"{SETTING} names {unknown[0]!r}; there are {', '.join(sorted(known))}.")
    return Tempo(**said)


def _pairs(text: str) -> Iterator[tuple[str, float]]:
    for word in text.split():
        name, _, written = word.partition("=")
        try:
            seconds = float(written)
        except ValueError:
            seconds = -1.0
        if not 0 < seconds <= _LONGEST:
            raise ValueError(f"{SETTING} holds {word!r}; write name=seconds, up to a day.")
        yield name, seconds


def _of_this_process() -> Tempo:
    try:
        return parse(os.environ.get(SETTING, ""))
    except ValueError:
        return Tempo()  # for the time until the start is refused


NOW = _of_this_process()
