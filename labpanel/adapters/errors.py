"""The one error family of everything outside the panel.

`sentence` is for the user: what happened to which thing, what to do. `detail` is for the log.
`permanent` means that trying again without a change is pointless.
"""

from labpanel.lib.said import Said


class AdapterError(Said):
    """Something outside did not do what it was asked."""

    permanent = False


class Unreachable(AdapterError):
    """No connection: the machine is off, gone, or the network is cut."""

    http_status = 502


class TimedOut(AdapterError):
    """The deadline passed without an answer; what was asked may still be under way."""

    http_status = 504


class Excessive(AdapterError):
    """More was answered than is read."""


class Refused(AdapterError):
    """The other side answered, and the answer was no."""

    permanent = True


class KeyRefused(Refused):
    """The machine does not accept the panel's key."""


class HostKeyChanged(Refused):
    """The machine shows another host key than the one that was confirmed."""


class ForwardingForbidden(Refused):
    """The machine's sshd leads no tunnel to its sockets."""


class Missing(Refused):
    """What was asked for is not there (a tool, a VM, a file)."""


class CommandFailed(AdapterError):
    """A command ended with a status that was not expected."""

    def __init__(self, sentence: str, status: int, output: str, detail: str = "") -> None:
        super().__init__(sentence, detail or output)
        self.status = status
        self.output = output
