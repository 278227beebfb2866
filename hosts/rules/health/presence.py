"""Whether a host, or what it reports, is known just now, and why not."""

from dataclasses import dataclass
from datetime import datetime, timedelta

# A look comes every 15 s; four without an answer are no hiccup, whatever the error says.
STALE = timedelta(seconds=60)
UP, UNKNOWN, NEVER = "up", "unknown", "never"


@dataclass(frozen=True, slots=True)
class Presence:
    """`state` is up, unknown or never (never seen). `since` is when it was known last; None while
    it is up."""

    state: str
    since: datetime | None
    reason: str

    @property
    def is_up(self) -> bool:
        return self.state == UP


def presence(
    seen_at: datetime | None, failing_since: datetime | None, error: str, now: datetime
) -> Presence:
    """What the last looks say. A look that was never taken again is no better than a failed one."""
    if seen_at is None:
        return Presence(NEVER, failing_since, error or "It was not looked at yet.")
    if failing_since is not None:
        return Presence(UNKNOWN, seen_at, error)
    if abs(now - seen_at) > STALE:  # one dated ahead says as little as an old one
        return Presence(UNKNOWN, seen_at, "Nothing has looked at it since: does the panel run?")
    return Presence(UP, None, "")


def of_vm(host: Presence, libvirt: Presence) -> Presence:
    """A VM's state is known as long as its host's libvirt answers over a host that answers."""
    worst = next((one for one in (host, libvirt) if not one.is_up), None)
    if worst is None:
        return Presence(UP, None, "")
    since = min((one.since for one in (host, libvirt) if one.since), default=None)
    return Presence(UNKNOWN if since else NEVER, since, worst.reason)
