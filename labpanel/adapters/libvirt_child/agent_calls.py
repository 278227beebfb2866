"""Calls to a guest's agent. Every one has a deadline: libvirt's own is none."""

import base64
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import libvirt
import libvirt_qemu

_POLL_SECONDS = 0.2
_MOST_BYTES = 4 << 20
# The channel is not open (yet), or nobody reads it: an answer, not an error.
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
    after `seconds`. Output that is longer than 4 MiB is cut."""
    domain, until = connection.lookupByUUIDString(uuid), time.monotonic() + seconds
    arguments = {"path": words[0], "arg": list(words[1:]), "capture-output": True}
    pid = _ask(domain, "guest-exec", arguments, seconds)["pid"]
    while time.monotonic() < until:
        left = max(1, int(until - time.monotonic()))
        state = _ask(domain, "guest-exec-status", {"pid": pid}, left)
        if state["exited"]:
            out = base64.b64decode(state.get("out-data", ""))[:_MOST_BYTES]
            text = out.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
            return {"ended": True, "status": state.get("exitcode", -1), "out": text}
        time.sleep(_POLL_SECONDS)
    return {"ended": False, "status": -1, "out": ""}


def _ask(domain: libvirt.virDomain, command: str, arguments: dict[str, Any], seconds: int) -> Any:
    question = json.dumps({"execute": command, "arguments": arguments})
    return json.loads(libvirt_qemu.qemuAgentCommand(domain, question, seconds, 0))["return"]


CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (agent_answers, agent_ask, agent_run)
}
