"""Run programs inside a guest through its QEMU guest agent."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

from lab.commands import LabError
from lab.virsh import inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.layout import Host
    from lab.state import Lab

REPLY = 15
"""Seconds the agent has for one answer."""


def ask(host: Host, domain: str, command: str, arguments: dict[str, Any] | None = None) -> Any:
    """Send one agent command and return its `return` value; LabError if it fails."""
    question: dict[str, Any] = {"execute": command}
    if arguments:
        question["arguments"] = arguments
    words = ["virsh", "-q", "qemu-agent-command", "--timeout", str(REPLY), "--domain", domain]
    done = inside(host, [*words, "--cmd", json.dumps(question)], timeout=REPLY + 15)
    return json.loads(done.stdout)["return"]


def answers(host: Host, domain: str) -> bool:
    """Tell whether the guest's agent answers a ping."""
    try:
        ask(host, domain, "guest-ping")
    except LabError:
        return False
    return True


def await_agent(host: Host, domain: str, *, timeout: float) -> None:
    """Wait until the guest has booted so far that its agent answers."""
    end = time.monotonic() + timeout
    while not answers(host, domain):
        if time.monotonic() > end:
            raise LabError(
                f"The guest {domain!r} on {host.name} has not booted within {timeout:g} s."
            )
        time.sleep(0.5)


def run_in_guest(
    host: Host, domain: str, argv: Sequence[str], *, timeout: float = 60.0
) -> subprocess.CompletedProcess[bytes]:
    """Run ``argv`` (an absolute path first) in the guest; outputs as bytes.

    Raises LabError when the agent does not answer or the program outlives
    ``timeout`` seconds. The agent keeps 16 MiB of output at most.
    """
    arguments = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
    pid = ask(host, domain, "guest-exec", arguments)["pid"]
    end = time.monotonic() + timeout
    while True:
        state = ask(host, domain, "guest-exec-status", {"pid": pid})
        if state["exited"]:
            break
        if time.monotonic() > end:
            raise LabError(f"{argv[0]} in the guest {domain!r} runs longer than {timeout:g} s.")
        time.sleep(0.2)
    if state.get("out-truncated"):
        raise LabError(f"{argv[0]} in the guest {domain!r} said more than the agent can carry.")
    out, err = (base64.b64decode(state.get(key, "")) for key in ("out-data", "err-data"))
    code = state.get("exitcode", -int(state.get("signal", 1)))
    return subprocess.CompletedProcess(list(argv), code, out, err)


def exec_in_guest(
    lab: Lab, host: str, domain: str, argv: Sequence[str], *, timeout: float = 60.0
) -> subprocess.CompletedProcess[bytes]:
    """`run_in_guest` for a lab and a host by name."""
    return run_in_guest(lab.layout.host(host), domain, argv, timeout=timeout)
