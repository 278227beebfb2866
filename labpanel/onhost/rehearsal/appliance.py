"""Keeps libguestfs's appliance on a host for as long as the panel wants it. Standard library only.

The appliance is a small VM that opens the disks of a copy, so that the host's own kernel mounts
nothing of it. All its processes live in namespaces of their own, without a network; they end with
this script, however it ends (see wire.py).
"""

import importlib.util
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labpanel.onhost.runtime.wire import Problem, die_with_parent, folder, on_leaving, serve

# With the emulator's own needs and its cache of translated code (1 GiB at most).
_MEMORY_BESIDES = 3 << 30
_END_SECONDS = 10
_KERNELS = ("boot/vmlinu*", "lib/modules/*/vmlinuz")
# Opening sockets and files of QEMU's user is all that root is needed for.
_POWERS = "-all,+dac_override,+fowner,+chown"
_NAMESPACES = ["unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--"]
# As root libguestfs makes its sockets in /tmp, wherever it is told to, and leaves them if killed.
_OWN_TMP = ["sh", "-c", 'mount --bind "$0" /tmp && exec "$@"']
_LIMITS = ["setpriv", "--no-new-privs", f"--bounding-set={_POWERS}", "--inh-caps=-all", "--"]
_state: dict[str, Any] = {"process": None, "phase": "", "result": None, "error": ""}


def begin(program: str, asked: dict[str, Any], scratch: str) -> None:
    """Start the look. `program` is the source of appliance_look.py, `asked` what it is asked, and
    `scratch` a folder for its throw-away overlays."""
    if importlib.util.find_spec("guestfs") is None:
        raise Problem("no-guestfs", "python3-guestfs is not installed there")
    if not any(any(Path("/").glob(pattern)) for pattern in _KERNELS):
        raise Problem("no-kernel", "there is no kernel in /boot to start it with")
    runtime = folder()
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": runtime,
        "XDG_RUNTIME_DIR": runtime,
        "TMPDIR": scratch,
        "LIBGUESTFS_TMPDIR": scratch,
        "LIBGUESTFS_CACHEDIR": "/var/tmp",  # noqa: S108 - as libguestfs has it; built once a host
    }
    process = subprocess.Popen(
        [*_wrapped(runtime), sys.executable, "-I", "-B", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        preexec_fn=lambda: _limit(asked["memory_mib"] << 20),
    )
    _state.update(process=process, phase="", result=None, error="")
    on_leaving(stop)
    assert process.stdin is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    process.stdin.close()
    threading.Thread(target=_read, args=(process,), daemon=True).start()


def _wrapped(runtime: str) -> list[str]:
    return [*_NAMESPACES, *_OWN_TMP, runtime, *_LIMITS] if os.geteuid() == 0 else []


def _limit(memory: int) -> None:
    die_with_parent()
    most = memory + _MEMORY_BESIDES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    os.nice(10)  # the host's own VMs go first


def _read(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        _state.update(json.loads(line))
    process.wait()
    if _state["result"] is None and not _state["error"]:
        _state["error"] = f"it ended while {_state['phase'] or 'starting'}"


def state() -> dict[str, Any]:
    """`{"phase", "result", "error"}`; the last two are empty for as long as it runs."""
    return {name: _state[name] for name in ("phase", "result", "error")}


def stop() -> None:
    """End it, and all that it started, at once."""
    process = _state["process"]
    if process is not None and process.poll() is None:
        process.kill()
        process.wait(timeout=_END_SECONDS)


VERBS: dict[str, Callable[..., Any]] = {"begin": begin, "state": state, "stop": stop}


def main() -> None:
    serve(VERBS)
