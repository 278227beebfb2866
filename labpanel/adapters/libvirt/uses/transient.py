"""Domains that live no longer than the connection that started them, and their screens."""

import base64
from dataclasses import dataclass
from typing import Protocol

from labpanel.adapters.libvirt.calls import (
    Calls,
    asks,
    changes,
    in_words,
    nothing,
    read_flag,
    read_text,
)
from labpanel.lib.closed import Odd
from labpanel.lib.shaped import shaped


@dataclass(frozen=True, slots=True)
class TransientState:
    """`mine` is False where another connection had started it: then it was libvirt that ended it,
    with that connection, and not the guest."""

    mine: bool
    known: bool
    state: str = ""


class RunsTransient(Protocol):
    def qemu_owner(self) -> tuple[int, int] | None:
        """User and group that libvirt runs QEMU under; None if it does not say."""

    def start_transient(self, xml: str) -> None:
        """Boot a domain that libvirt destroys when this connection ends, however it ends."""

    def transient_state(self, uuid: str) -> TransientState: ...

    def end_transient(self, uuid: str) -> bool:
        """Pull the plug; False if it is gone already. One that is defined is left alone."""

    def screenshot(self, uuid: str) -> bytes:
        """The guest's screen (a PPM or PNG file); empty for one that is too large."""


def _read_owner(answer: object) -> tuple[int, int] | None:
    found: tuple[int, int] | None = shaped(tuple[int, int] | None, answer)
    return found


def _read_picture(answer: object) -> bytes:
    try:
        return base64.b64decode(read_text(answer), validate=True)
    except ValueError as broken:
        if isinstance(broken, Odd):
            raise
        raise Odd("its picture is no base64") from broken


_OWNER = asks("qemu_owner", 15, _read_owner)
_START = changes("start_transient", 120, nothing)
_STATE = asks("transient_state", 15, in_words(TransientState))
_END = changes("end_transient", 30, read_flag)
_SCREENSHOT = asks("screenshot", 15, _read_picture)


class TransientCalls(Calls, RunsTransient):
    def qemu_owner(self) -> tuple[int, int] | None:
        return self._do(_OWNER)

    def start_transient(self, xml: str) -> None:
        self._do(_START, xml=xml)

    def transient_state(self, uuid: str) -> TransientState:
        return self._do(_STATE, uuid=uuid)

    def end_transient(self, uuid: str) -> bool:
        return self._do(_END, uuid=uuid)

    def screenshot(self, uuid: str) -> bytes:
        return self._do(_SCREENSHOT, uuid=uuid)
