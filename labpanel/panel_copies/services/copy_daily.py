"""Bring a copy of the panel to every store whose newest one is a day old."""

import logging
from dataclasses import replace
from datetime import datetime

from backups.models import Store
from backups.services.index.identity import panel_id
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.store.panel_copies import MOST, StoredPanelCopies
from labpanel.clock.services.doubt import doubt
from labpanel.lib.panel_copy import KEEP, is_due, name_at
from labpanel.lib.single_flight import single_flight
from labpanel.panel_copies import record
from labpanel.panel_copies.record import StoreCopies
from labpanel.panel_copies.services.make_copy import copied
from labpanel.panel_copies.state import PanelState, read_key

log = logging.getLogger(__name__)


def copy_daily(state: PanelState, now: datetime) -> None:
    """One turn. Nothing happens before a passphrase was chosen. A store that fails is named in the
    record and tried again at the next turn; the others are served."""
    with single_flight("panel-copies") as mine:
        if mine and state.database is not None and read_key(state.home):
            _turn(state, now)


def _turn(state: PanelState, now: datetime) -> None:
    known = {each.store_id: each for each in record.read(state.home)}
    stores = [_described(store, known) for store in Store.objects.select_related("host")]
    looked = [_looked(each, now) for each in stores]
    due = [each for each in looked if not each.error and is_due(_names(each), now)]
    record.write(state.home, looked)
    if due:
        done = {each.store_id: each for each in _copied(state, due, now)}
        record.write(state.home, [done.get(each.store_id, each) for each in looked])


def _described(store: Store, known: dict[str, StoreCopies]) -> StoreCopies:
    """What was known of the store, with its name and address as they are now."""
    endpoint, key = store.endpoint(), str(store.store_id)
    fresh = StoreCopies(
        store.name, key, store.path, endpoint.name, endpoint.target, endpoint.host_key
    )
    before = known.get(key, fresh)
    return replace(fresh, tried_at=before.tried_at, error=before.error, copies=before.copies)


def _looked(store: StoreCopies, now: datetime) -> StoreCopies:
    try:
        with _shelf(store) as shelf:
            return replace(store, error="", copies=shelf.copies())
    except AdapterError as error:
        return _failed(store, error, now)


def _copied(state: PanelState, due: list[StoreCopies], now: datetime) -> list[StoreCopies]:
    """One copy of this instant, brought to each store."""
    key = read_key(state.home)
    assert key is not None
    keep = MOST if doubt() else KEEP  # under a wrong clock nothing is too old
    try:
        with copied(state, key, now) as made:
            results = []
            for store in due:
                try:
                    with _shelf(store) as shelf:
                        copies = shelf.put(made, name_at(now), keep)
                    results.append(replace(store, tried_at=now, error="", copies=copies))
                except AdapterError as error:
                    results.append(_failed(store, error, now))
            return results
    except AdapterError as error:
        return [_failed(store, error, now) for store in due]


def _failed(store: StoreCopies, error: AdapterError, now: datetime) -> StoreCopies:
    log.warning("no copy of the panel in %s: %s", store.store, error.sentence)
    return replace(store, tried_at=now, error=error.sentence)


def _names(store: StoreCopies) -> list[str]:
    return [copy.name for copy in store.copies]


def _shelf(store: StoreCopies) -> StoredPanelCopies:
    return StoredPanelCopies(Machine(store.endpoint), store.path, panel_id(), store.store_id)
