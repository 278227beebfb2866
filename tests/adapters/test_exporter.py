"""How the servers of images end."""

import subprocess
import sys
from pathlib import Path

from labpanel.onhost.images import exporter

# As qemu-nbd 7.2 does with a signal that comes before its loop begins: it is forgotten.
_FORGETS_ONE = (
    "import signal, sys, time\n"
    "told = []\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit() if told else told.append(1))\n"
    "print('ready', flush=True)\n"
    "while True: time.sleep(1)\n"
)


def test_a_server_that_forgets_the_first_signal_is_told_again(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _FORGETS_ONE]
    server = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    socket = tmp_path / "1"
    socket.touch()
    exporter._state["servers"][str(socket)] = server
    exporter.stop(str(socket))
    assert server.poll() == 0
    assert not socket.exists()
    server.stdout.close()
