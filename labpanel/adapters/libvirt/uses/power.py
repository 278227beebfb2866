"""Whether a domain runs, and making it run or not."""

from typing import Protocol

from labpanel.adapters.libvirt.calls import Calls, asks, changes, in_words, nothing
from labpanel.lib.vm_state import DomainState


class ReadsState(Protocol):
    def state(self, uuid: str) -> DomainState:
        """A UUID that libvirt does not know is an answer, not an error."""


class Powers(ReadsState, Protocol):
    """All but `state` raise Missing where libvirt does not know the domain, and Refused where it
    cannot be done in the domain's state."""

    def start(self, uuid: str) -> None: ...

    def resume(self, uuid: str) -> None: ...

    def shutdown(self, uuid: str) -> None:
        """Ask the guest, which may take its time or not do it."""

    def reboot(self, uuid: str) -> None:
        """Ask the guest."""

    def reset(self, uuid: str) -> None:
        """The reset button: the guest is not asked."""

    def destroy(self, uuid: str) -> None:
        """Pull the plug; the definition stays."""

    def set_autostart(self, uuid: str, *, on: bool) -> None: ...


_STATE = asks("state", 15, in_words(DomainState))
_START = changes("start", 60, nothing)
_RESUME = changes("resume", 20, nothing)
_SHUTDOWN = changes("shutdown", 20, nothing)
_REBOOT = changes("reboot", 20, nothing)
_RESET = changes("reset", 20, nothing)
# libvirt waits for QEMU to end, which may first have to write out what the guest wrote.
_DESTROY = changes("destroy", 60, nothing)
_SET_AUTOSTART = changes("set_autostart", 20, nothing)


class PowerCalls(Calls, Powers):
    def state(self, uuid: str) -> DomainState:
        return self._do(_STATE, uuid=uuid)

    def start(self, uuid: str) -> None:
        self._do(_START, uuid=uuid)

    def resume(self, uuid: str) -> None:
        self._do(_RESUME, uuid=uuid)

    def shutdown(self, uuid: str) -> None:
        self._do(_SHUTDOWN, uuid=uuid)

    def reboot(self, uuid: str) -> None:
        self._do(_REBOOT, uuid=uuid)

    def reset(self, uuid: str) -> None:
        self._do(_RESET, uuid=uuid)

    def destroy(self, uuid: str) -> None:
        self._do(_DESTROY, uuid=uuid)

    def set_autostart(self, uuid: str, *, on: bool) -> None:
        self._do(_SET_AUTOSTART, uuid=uuid, on=on)
