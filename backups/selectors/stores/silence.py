"""Whether what lies in a store can be known now."""

from datetime import datetime, timedelta

from backups.models import Store
from hosts.rules.health.presence import presence

# Stores are looked at every two minutes: one that missed two looks is silent.
SILENT_AFTER = timedelta(minutes=5)


def silence_of(store: Store, now: datetime) -> str:
    """Why what lies there is not known any more; empty while it can be read. A host that does not
    answer silences its stores at once. A store that is mounted read-only has an error too, and is
    looked at all the same. No query if the store's host is at hand."""
    host = store.host
    if host is not None:
        seen = presence(host.seen_at, host.failing_since, host.error, now)
        if not seen.is_up:
            return seen.reason or f"{host.name} does not answer."
    looked = store.looked_at or store.added_at
    return store.error if store.error and now - looked > SILENT_AFTER else ""
