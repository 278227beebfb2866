"""Make a directory of some machine a store, or take up the store that it already is."""

import re

from django.core.exceptions import ValidationError

from backups.models import Store
from backups.rules.restore.naming import plain_path, wrong_path
from backups.services.index.identity import panel_id
from backups.services.stores.look_at_stores import look_at
from hosts.models import FileSystem, Host
from hosts.selectors.naming import local_host
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import PANEL

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")


def add_store(
    name: str, host: Host | None, path: str, *, take_over: bool = False, make_folder: bool = False
) -> Store:
    """Open or make the store and write it down. Raises Refusal or an AdapterError; then nothing
    was changed but, at most, a marker file in a directory that was ours to use.

    `take_over` gives it to this panel although another one uses it, also a known store that
    another panel took.
    `make_folder` makes what is missing of the path, never on a mount point without its mount.
    """
    where = host.name if host else PANEL.name
    if not _NAME.match(name):
        raise Refusal(
            f"{name!r} is not a name for a store: use letters, digits, - and _ (63 at most)."
        )
    problem = wrong_path(path)
    if problem:
        raise Refusal(f"On {where}: {problem}")
    path = plain_path(path)
    named = Store.objects.filter(name=name).first()
    again = take_over and named is not None and (named.host, named.path) == (host, path)
    if named is not None and not again:
        raise Refusal(f"There already is a store {name}.", 409)
    endpoint = host.endpoint() if host else PANEL
    try:
        with Keeper(Machine(endpoint), path, panel_id()) as keeper:
            mounts = _mount_points(host) if make_folder else []
            store_id = keeper.init(take_over=take_over, make=make_folder, mounts=mounts)
    except ScriptRefused as refusal:
        raise Refusal(_refused(refusal, where), 409) from refusal
    if named is not None and str(named.store_id) != store_id:
        raise Refusal(f"On {where}: {path} holds another store than {name}; give it a new name.")
    store = named or Store(name=name, host=host, path=path, store_id=store_id)
    try:
        store.full_clean()
    except ValidationError as error:
        raise Refusal(" ".join(error.messages), 409) from error
    store.looked_at = None  # what lies there now came with it
    store.save()
    look_at(store)
    store.refresh_from_db()
    return store


def _mount_points(host: Host | None) -> list[str]:
    """Where something was mounted once; the machine knows what of it is now."""
    seen = FileSystem.objects.filter(host=host or local_host()).exclude(mount_point="/")
    return sorted(seen.values_list("mount_point", flat=True))


def _refused(refusal: ScriptRefused, where: str) -> str:
    hints = {
        "missing": "Mount what should be there, or have the folder made: --make-folder, or "
        "the tick in the form.",
        "not-mounted": "Mount it first, or choose another directory.",
        "foreign": "Choose another directory, or take it over with --take-over if that panel "
        "is not used any more.",
        "full": "Make room there first.",
        "not-writable": "Choose a directory that can be written to.",
    }
    return f"On {where}: {refusal.sentence} {hints.get(refusal.code, '')}".strip()
