"""`./panel copies`: the copies of the panel itself that are known."""

from typing import TypedDict

from django.utils import timezone

from labpanel.lib.actor import Actor
from labpanel.lib.durations import ago
from labpanel.lib.units import size
from labpanel.panel_copies.selectors.known_copies import (
    PanelCopies,
    PanelCopyJson,
    StoreLineJson,
    panel_copies,
)
from labpanel.panel_copies.state import panel_state
from labpanel.verbs.output import complain, print_table
from labpanel.verbs.verb import ApiRoute, Nothing, Verb

_ADVICE = "Choose a passphrase with `./panel passphrase`: then each store gets a copy every day."


class CopiesJson(TypedDict):
    """`trouble` is empty if a store has a fresh copy of the panel."""

    passphrase_chosen: bool
    trouble: str
    stores: list[StoreLineJson]
    exported: PanelCopyJson | None
    before_updates: list[PanelCopyJson]


def _do(_: Actor, __: Nothing) -> PanelCopies:
    return panel_copies(panel_state(), timezone.now())


def _show(found: PanelCopies) -> None:
    now = timezone.now()
    rows = [
        (each.store, ago(copy.made_at, now), size(copy.size), copy.name)
        for each in found.stores
        for copy in each.copies
    ]
    rows += [
        ("(before an update)", ago(copy.made_at, now), size(copy.size), copy.name)
        for copy in found.before
    ]
    if found.exported:
        made = ago(found.exported.made_at, now)
        rows.append(("(exported)", made, size(found.exported.size), found.exported.name))
    print_table(["store", "made", "size", "path"], rows)
    for each in found.stores:
        if each.error:
            complain(f"{each.store}: {each.error}")
    if found.trouble:
        complain(found.trouble + ("" if found.has_passphrase else f" {_ADVICE}"))


def _as_json(found: PanelCopies) -> CopiesJson:
    return {
        "passphrase_chosen": found.has_passphrase,
        "trouble": found.trouble,
        "stores": [each.as_json() for each in found.stores],
        "exported": found.exported.as_json() if found.exported else None,
        "before_updates": [each.as_json() for each in found.before],
    }


VERBS = (
    Verb(
        "copies",
        "list the copies of the panel itself",
        Nothing,
        _do,
        _as_json,
        ApiRoute("GET", "copies"),
        _show,
    ),
)
