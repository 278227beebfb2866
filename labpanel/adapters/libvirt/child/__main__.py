"""Serve one libvirt connection over standard input and output until either ends."""

import contextlib
import json
import os
import select
import sys
import threading
from typing import Any

import libvirt

from labpanel.adapters.errors import Refused
from labpanel.adapters.libvirt.child import (
    agent_calls,
    backup_calls,
    checkpoint_calls,
    definition_calls,
    move_calls,
    power_calls,
    pull_calls,
    read_calls,
    rehearse_calls,
)
from labpanel.adapters.libvirt.child.opening import open_connection

# The screen of a guest at 1920 × 1200 in base64 is 9 MiB.
MOST_ANSWER = 10 << 20

CALLS = {
    **read_calls.CALLS,
    **power_calls.CALLS,
    **backup_calls.CALLS,
    **checkpoint_calls.CALLS,
    **definition_calls.CALLS,
    **move_calls.CALLS,
    **pull_calls.CALLS,
    **agent_calls.CALLS,
    **rehearse_calls.CALLS,
}


def answer(connection: libvirt.virConnect, request: dict[str, Any]) -> dict[str, Any]:
    try:
        result = CALLS[request["call"]](connection, **request.get("args", {}))
    except libvirt.libvirtError as error:
        return {"id": request["id"], "error": describe(error) | {"alive": alive(connection)}}
    except Refused as error:  # UnsafeXml, UnsafeJson: what libvirt or an agent said makes no sense
        return refusal(request, error.sentence)
    return {"id": request["id"], "ok": result}


def refusal(request: dict[str, Any], sentence: str) -> dict[str, Any]:
    error = {"code": 0, "domain": 0, "message": sentence, "alive": True}
    return {"id": request["id"], "error": error}


def line_of(request: dict[str, Any], answered: dict[str, Any]) -> str:
    line = json.dumps(answered)
    if len(line) > MOST_ANSWER:
        return json.dumps(refusal(request, f"the answer is larger than {MOST_ANSWER >> 20} MiB"))
    return line


def describe(error: libvirt.libvirtError) -> dict[str, Any]:
    """virError's code, domain and text, which the parent turns into a sentence."""
    return {
        "code": error.get_error_code() or 0,
        "domain": error.get_error_domain() or 0,
        "message": error.get_error_message() or str(error),
    }


def alive(connection: libvirt.virConnect) -> bool:
    """Whether the connection outlived the error."""
    with contextlib.suppress(libvirt.libvirtError):
        return bool(connection.isAlive())
    return False


def end_with_parent() -> None:
    """A parent that was killed while libvirt blocks us must not leave us behind (poll(2))."""
    waiting = select.poll()
    waiting.register(sys.stdin.fileno(), 0)  # POLLHUP alone, which is always reported
    waiting.poll()
    os._exit(0)


def main(uri: str) -> int:
    # libvirt would print errors to standard error, too; they come back as answers.
    libvirt.registerErrorHandler(lambda *_: None, None)
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        connection = open_connection(uri)
    except libvirt.libvirtError as error:
        print(json.dumps({"id": 0, "error": describe(error)}), flush=True)  # noqa: T201
        return 1
    print(json.dumps({"id": 0, "ok": "open"}), flush=True)  # noqa: T201
    for line in sys.stdin:
        request = json.loads(line)
        print(line_of(request, answer(connection, request)), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
