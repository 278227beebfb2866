"""Calls to a guest's agent. Every one has a deadline: libvirt's own is none."""

import base64
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import libvirt
import libvirt_qemu

from labpanel.adapters.answers import safe_json
from labpanel.adapters.errors import Refused

_POLL_SECONDS = 0.2
_MOST_BYTES = 1 << 20
_MOST_SAID = 4 << 20  # of output in base64, and a little
# The channel is not open (yet), or no agent reads it: an answer, not an error.
_SILENT = frozenset(
    {
        libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
        libvirt.VIR_ERR_OPERATION_TIMEOUT,
        libvirt.VIR_ERR_AGENT_UNSYNCED,
    }
)


def agent_answers(connection: libvirt.virConnect, uuid: str, seconds: int) -> bool:
    """Whether the agent answers a ping within `seconds`."""
    try:
        _ask(connection.lookupByUUIDString(uuid), "guest-ping", {}, seconds)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in _SILENT:
            raise
        return False
    return True


def agent_ask(connection: libvirt.virConnect, uuid: str, command: str, seconds: int) -> Any:
    """The answer to one command without arguments (QEMU's qga/qapi-schema.json)."""
    return _ask(connection.lookupByUUIDString(uuid), command, {}, seconds)


def agent_run(
    connection: libvirt.virConnect, uuid: str, words: Sequence[str], seconds: int
) -> dict[str, Any]:
    """Run a program in the guest: `{"ended", "status", "out"}`; `ended` is False if it runs on
    after `seconds`. Output that is longer than 1 MiB is cut."""
    domain, until = connection.lookupByUUIDString(uuid), time.monotonic() + seconds
    arguments = {"path": words[0], "arg": list(words[1:]), "capture-output": True}
    begun = _ask(domain, "guest-exec", arguments, seconds)
    pid = begun.get("pid") if isinstance(begun, dict) else None
    if not isinstance(pid, int):
        raise _odd()
    while time.monotonic() < until:
        left = max(1, int(until - time.monotonic()))
        state = _ask(domain, "guest-exec-status", {"pid": pid}, left)
        if not isinstance(state, dict):
            raise _odd()
        if state.get("exited"):
            return _ended(state)
        time.sleep(_POLL_SECONDS)
    return {"ended": False, "status": -1, "out": ""}


def _ended(state: dict[str, Any]) -> dict[str, Any]:
    try:
        out = base64.b64decode(state.get("out-data", ""))[:_MOST_BYTES]
    except (ValueError, TypeError) as broken:
        raise _odd() from broken
    code = state.get("exitcode")
    text = out.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    return {"ended": True, "status": code if isinstance(code, int) else -1, "out": text}


def _ask(domain: libvirt.virDomain, command: str, arguments: dict[str, Any], seconds: int) -> Any:
    question = json.dumps({"execute": command, "arguments": arguments})
    said = safe_json.parse(
        libvirt_qemu.qemuAgentCommand(domain, question, seconds, 0),
        "The guest agent's answer",
        most_bytes=_MOST_SAID,
    )
    if not isinstance(said, dict) or "return" not in said:
        raise _odd()
    return said["return"]


def _odd() -> Refused:
    return Refused("The guest agent's answer makes no sense.")


CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (agent_answers, agent_ask, agent_run)
}
