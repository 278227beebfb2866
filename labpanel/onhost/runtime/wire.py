"""The conversation between the panel and a script of ours on a machine. Standard library only.

The script's source arrives on standard input, then one JSON object a line: `{"verb", …}` in,
`{"ok": …}`, `{"error": {"code", "sentence"}}` or `{"event", …}` out, after the mark that the panel
gave. `{"verb": "ping"}` only says that the panel is still there. When standard input ends, or is
silent for SILENT_SECONDS (a cut cable alone ends nothing), the script ends, and its children
with it: nothing lingers.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import queue
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from labpanel.lib.said import Said

SILENT_SECONDS = 45
PREFIX, ALIVE = "labpanel-", "alive"  # a folder of a script, and the file in it that says so
YOUNG_SECONDS = 60  # skip folders that are still being created
_FULL = os.strerror(errno.ENOSPC)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_lock = threading.Lock()
_mark = [""]
_requests: "queue.Queue[dict[str, Any] | None]" = queue.Queue()
_heard = [time.monotonic()]
_libc = ctypes.CDLL(None)
_leaving: list[Callable[[], None]] = []


class Problem(Said):
    """The request was refused. `code` is a word for the panel, the sentence is for the user, `io`
    what labpanel/lib/io_fault.py reads: access, errno, path, first and after."""

    def __init__(self, code: str, sentence: str, io: dict[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.io = io


def mark_with(mark: str) -> None:
    """What each line to the panel begins with from now on, so that it tells them from others."""
    _mark[0] = mark


def say(message: dict[str, Any]) -> None:
    """One line to the panel. A panel that is gone ends the script."""
    line = _mark[0] + json.dumps(message) + "\n"
    try:
        with _lock:
            sys.stdout.write(line)
            sys.stdout.flush()
    except OSError:
        leave(1)


def leave(status: int) -> None:
    """End at once, from any thread, cleaning up what was registered."""
    while _leaving:
        try:
            _leaving.pop()()
        except Exception as error:  # noqa: BLE001 - on the way out every cleaning must get its turn
            print(error, file=sys.stderr)
    os._exit(status)


def on_leaving(clean: Callable[[], None]) -> None:
    _leaving.append(clean)


def die_with_parent() -> None:
    """For preexec_fn: a child is killed when this script is, even by SIGKILL."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(
    words: list[str],
    code: str,
    what: str,
    *,
    ok: tuple[int, ...] = (0,),
    handles: tuple[int, ...] = (),
    before: Callable[[], None] = die_with_parent,
) -> str:
    """Run a tool to its end and give its standard output; a failure is a Problem. The tool inherits
    the descriptors in `handles`; `before` is what its process does first."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            pass_fds=handles,
            preexec_fn=before,
        )
    except FileNotFoundError as error:
        raise Problem("missing-tool", f"{words[0]} is not installed.") from error
    except subprocess.SubprocessError as error:  # `before` failed
        raise Problem(code, f"{what}: the image was exchanged meanwhile") from error
    if done.returncode not in ok:
        text = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        last = text.splitlines()[-1] if text else f"status {done.returncode}"
        raise Problem("full" if _FULL in text else code, f"{what}: {last}")
    return done.stdout.decode("utf-8", "replace")


def folder() -> str:
    """A private folder for sockets, short because a socket's path holds 107 bytes (unix(7)),
    removed when the script ends. One that is killed cannot: the next script here does it."""
    base = "/run" if os.access("/run", os.W_OK) else tempfile.gettempdir()
    sweep(base)
    path = tempfile.mkdtemp(prefix=PREFIX, dir=base)
    # Held while this process lives, and by no child: a process that can take it knows that it is
    # dead.
    handle = os.open(f"{path}/{ALIVE}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    on_leaving(lambda: shutil.rmtree(path, ignore_errors=True))
    return path


def sweep(base: str) -> None:
    """Remove the folders of this user's scripts that were killed; others are left alone."""
    for path in Path(base).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it is just going, or not what it seemed
            if _is_dead(path):
                shutil.rmtree(path)


def _is_dead(path: Path) -> bool:
    """Whether a script of this user made this folder, and has ended."""
    status = path.lstat()
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700
    if not private or status.st_uid != os.geteuid():
        return False
    handle = os.open(path / ALIVE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return time.time() - os.fstat(handle).st_mtime > YOUNG_SECONDS
    finally:
        os.close(handle)


def requests() -> Iterator[dict[str, Any]]:
    """What the panel asks, until it closes standard input."""
    while True:
        request = _requests.get()
        if request is None:
            return
        yield request


def serve(verbs: dict[str, Callable[..., Any]]) -> None:
    """Answer one request after the other until the panel goes."""
    listen()
    for request in requests():
        name = request.pop("verb")
        try:
            say({"ok": verbs[name](**request)})
        except Problem as problem:
            answer = {"code": problem.code, "sentence": problem.sentence}
            say({"error": {**answer, **({"io": problem.io} if problem.io else {})}})
        except OSError as error:
            code = {28: "full", 30: "read-only", 122: "full"}.get(error.errno or 0, "os")
            io = {"access": "access", "errno": error.errno or 0, "path": str(error.filename or "")}
            say({"error": {"code": code, "sentence": _spelled(error, request), "io": io}})
    leave(0)


def _spelled(error: OSError, request: dict[str, Any]) -> str:
    """A read or a write names no file: then those that were asked for are named."""
    if not error.filename:
        asked = [each for each in request.values() if str(each).startswith("/")]
        of = " and ".join(str(each) for each in asked[:2]) or "one of the files asked for"
        return f'reading or writing {of} failed: "{error.strerror or error}".'
    if error.errno == errno.EROFS:
        return f"{error.filename} cannot be written: its file system is mounted read-only."
    return f"{error.filename}: {error.strerror}."


def listen() -> None:
    """Start reading standard input and minding its silence. From then on the script ends by
    itself when the panel does."""
    threading.Thread(target=_read, daemon=True).start()
    threading.Thread(target=_mind, daemon=True).start()


def _read() -> None:
    for line in sys.stdin.buffer:
        _heard[0] = time.monotonic()
        request = json.loads(line)
        if request["verb"] != "ping":
            _requests.put(request)
    leave(0)


def _mind() -> None:
    while True:
        time.sleep(1)
        if time.monotonic() - _heard[0] > SILENT_SECONDS:
            leave(2)
