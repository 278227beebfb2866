"""What one may choose when VMs are brought back, and what follows from it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from labpanel.lib.durations import span
from labpanel.lib.units import listed

# Run it and switch the old one off first; run it whatever the old one does; make it, start nothing.
STOP, RUN, KEEP_OFF = "stop", "run", "off"
CHOICES = (STOP, RUN, KEEP_OFF)


@dataclass(frozen=True, slots=True)
class BringBackChoice:
    choice: str
    words: str
    consequence: str


def choices(
    vms: Sequence[str],
    host: str,
    to: str,
    *,
    running: Sequence[str],
    silent: bool,
    seconds: float | None = None,
) -> list[BringBackChoice]:
    """The best first, three at most. `running` are those that run on `host` now; of a silent host
    that is not known. `seconds` are what copying in full takes, where that was measured."""
    names, yes = listed(list(vms)), f"Yes, bring {_all(vms)} back"
    if silent:
        return [
            BringBackChoice(RUN, f"{host} is off: run {_all(vms)} on {to}", _if_off(names, host)),
            BringBackChoice(
                KEEP_OFF, f"I do not know: start nothing on {to}", _kept_off(vms, to, seconds)
            ),
        ]
    kept_off = BringBackChoice(
        KEEP_OFF, "Bring back, but start nothing", _kept_off(vms, to, seconds)
    )
    if not running:
        return [BringBackChoice(RUN, yes, _runs(vms, to, seconds)), kept_off]
    return [
        BringBackChoice(STOP, yes, f"{_stopped(running, host)} {_runs(vms, to, seconds)}"),
        BringBackChoice(RUN, f"Bring back, and leave {host} as it is", _twice(running, host, to)),
        kept_off,
    ]


def _all(vms: Sequence[str]) -> str:
    return vms[0] if len(vms) == 1 else f"all {len(vms)}"


def _runs(vms: Sequence[str], to: str, seconds: float | None) -> str:
    one = len(vms) == 1
    said = f"It runs on {to}" if one else f"They run on {to}"
    behind = f", about {_span(seconds)}" if seconds is not None else ""
    return (
        f"{said} within seconds; {'its' if one else 'their'} blocks are pulled in behind{behind}."
    )


def _kept_off(vms: Sequence[str], to: str, seconds: float | None) -> str:
    full = f"in full to {to}" + (f", about {_span(seconds)}," if seconds is not None else "")
    if len(vms) == 1:
        return f"It is copied {full} and stays off until you start it."
    return f"They are copied {full} and stay off until you start them."


def _span(seconds: float) -> str:
    return span(max(1.0, seconds))


def _if_off(names: str, host: str) -> str:
    return (
        f"Only if {host} is switched off, or its plug is out. Whatever still runs there goes on "
        f"writing, and then there are two of {names} that differ."
    )


def _stopped(running: Sequence[str], host: str) -> str:
    verb = "is" if len(running) == 1 else "are"
    return (
        f"{listed(list(running))} on {host} {verb} switched off first, without asking the guest, "
        "so that nothing runs twice."
    )


def _twice(running: Sequence[str], host: str, to: str) -> str:
    verb = "goes" if len(running) == 1 else "go"
    return (
        f"{listed(list(running))} on {host} {verb} on beside what runs on {to}. A guest with a "
        "fixed address then has it twice in the network."
    )
