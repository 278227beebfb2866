"""Make a directory of some machine a store, or take up the store that it already is."""

import re

from django.core.exceptions import ValidationError

from backups.models import Store
from backups.services.identity import panel_id
from backups.services.look_at_stores import look_at
from hosts.models import Host
from labpanel.adapters.machine import Machine
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.store_keeper import Keeper
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import PANEL

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")


def add_store(name: str, host: Host | None, path: str, *, take_over: bool = False) -> Store:
    """Open or make the store and write it down. Raises Refusal or an AdapterError; then nothing
    was changed but, at most, an empty marker file in a directory that was ours to use.

    `take_over` makes it ours whoever used it, also one that we know and that another panel took.
    """
    where = host.name if host else PANEL.name
    if not _NAME.match(name):
        raise Refusal(
            f"{name!r} is no name for a store: use letters, digits, - and _ (63 at most)."
        )
    path = path.rstrip("/") or "/"
    named = Store.objects.filter(name=name).first()
    again = take_over and named is not None and (named.host, named.path) == (host, path)
    if named is not None and not again:
        raise Refusal(f"There already is a store {name}.", 409)
    endpoint = host.endpoint() if host else PANEL
    try:
        with Keeper(Machine(endpoint), path, panel_id()) as keeper:
            marker = keeper.init(take_over=take_over)
    except ScriptRefused as refusal:
        raise Refusal(_refused(refusal, where), 409) from refusal
    if named is not None and str(named.store_id) != marker["store_id"]:
        raise Refusal(f"On {where}: {path} holds another store than {name}; give it a new name.")
    store = named or Store(name=name, host=host, path=path, store_id=marker["store_id"])
    try:
        store.full_clean()
    except ValidationError as error:
        raise Refusal(" ".join(error.messages), 409) from error
    store.save()
    look_at(store)
    store.refresh_from_db()
    return store


def _refused(refusal: ScriptRefused, where: str) -> str:
    hints = {
        "missing": "Make it first, or mount it.",
        "foreign": "Choose another directory, or take it over with --take-over if that panel "
        "is gone for good.",
        "full": "Make room there first.",
        "not-writable": "Choose a directory that can be written to.",
    }
    return f"On {where}: {refusal.sentence} {hints.get(refusal.code, '')}".strip()
