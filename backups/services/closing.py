"""Ending what a backup opened on a source host: after a run, and for one whose worker died."""

import time
from collections.abc import Callable
from typing import Any

from backups.services.source import BROKEN_WRITE, PAUSED
from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.adapters.image_host import ImageHost

# A libvirtd that is being restarted answers again within seconds.
AGAIN_SECONDS = (1, 3, 6)


def close_source(
    hypervisor: Hypervisor, images: ImageHost, uuid: str, left: dict[str, Any]
) -> bool:
    """Thaw if it may be frozen, end our backup job, let a VM go on that a write into a full file
    had stopped meanwhile, remove our files. Whether it is known that the guest is thawed: if not,
    it must be tried again.

    `left` is what the job remembered: `froze`, `owes_thaw` (the guest's agent did not say that it
    had thawed), `socket` (pull) or `staging` (push), `scratch`, `ran`. Every step is tried; the
    first that could not be is raised at the end.
    """
    troubles: list[AdapterError] = []

    def attempt(verb: str, **more: Any) -> Any:
        try:
            return patiently(lambda: hypervisor.call(verb, deadline=30, uuid=uuid, **more))
        except AdapterError as error:
            troubles.append(error)
            return None

    files = [*left.get("scratch", ()), *left.get("staging", ())]
    mark = left.get("socket") or next(iter(left.get("staging", ())), "")
    thawed = True
    if left.get("froze") or left.get("owes_thaw"):
        thawed = bool(attempt("thaw"))
    if mark:
        attempt("abort_backup", mark=mark)
        if left.get("ran") and _stopped_by_a_write(attempt("state")):
            attempt("resume")
        if not troubles:
            images.remove([path for path in (left.get("socket", ""), *files) if path])
    if troubles:
        raise troubles[0]
    return thawed


def _stopped_by_a_write(state: dict[str, Any] | None) -> bool:
    return state is not None and (state["state"], state["reason"]) == (PAUSED, BROKEN_WRITE)


def patiently(call: Callable[[], Any]) -> Any:
    """Once more, and again, where only the connection broke."""
    for seconds in AGAIN_SECONDS:
        try:
            return call()
        except Unreachable:
            time.sleep(seconds)
    return call()
