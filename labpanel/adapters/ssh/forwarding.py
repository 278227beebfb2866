"""Whether a machine's sshd lets unix sockets be forwarded (sshd_config(5),
AllowStreamLocalForwarding).

ssh says yes to every `-O forward -L`, since it only listens at the near end; that sshd refuses
shows at the first connection, which then ends without a message, as with a daemon that hangs up. So
a listener of our own is asked through a tunnel first, once for each control master.
"""

import contextlib
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from labpanel.adapters.answers.bounded import Late
from labpanel.adapters.answers.marked_lines import Flooded, MarkedLines
from labpanel.adapters.errors import ForwardingForbidden

if TYPE_CHECKING:
    from labpanel.adapters.ssh.machine import Machine

SECONDS = 8
ANSWER = b"forwarded"
# Listens for one connection, for a short while, in a folder that goes away with it.
_LISTENER = f"""
import os, shutil, socket, sys, tempfile
for base in ("/run", "/dev/shm", "/tmp", os.path.expanduser("~")):
    try:
        folder = tempfile.mkdtemp(prefix=".labpanel-forward-", dir=base)
        break
    except OSError:
        pass
else:
    sys.exit(1)
try:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(folder + "/s")
        listening.listen(1)
        listening.settimeout({SECONDS})
        print(sys.argv[1] + folder + "/s", flush=True)
        listening.accept()[0].sendall({ANSWER!r})
except OSError:
    pass
finally:
    shutil.rmtree(folder, ignore_errors=True)
"""


def check(machine: "Machine", control: Callable[[str, str], str | None]) -> None:
    """Raises ForwardingForbidden where the tunnel to a listener that works leads nowhere. A machine
    where none can be started says nothing against forwarding. `control` is asked with "forward" or
    "cancel" and the way, and says what went wrong."""
    mark = secrets.token_hex(16)
    process = machine.start(["/usr/bin/python3", "-I", "-B", "-c", _LISTENER, mark])
    try:
        far = _listens_at(process, mark)
        near = machine.channel.control_path.with_name(f"t-{mark[:16]}")
        if far is None or control("forward", f"{near}:{far}") is not None:
            return
        try:
            answered = _asked(near)
        finally:
            control("cancel", f"{near}:{far}")
            near.unlink(missing_ok=True)
    finally:
        _let_end(process)
    if not answered:
        raise forbidden(machine.endpoint.name)


def forbidden(name: str) -> ForwardingForbidden:
    return ForwardingForbidden(
        f"sshd on {name} forbids forwarding (AllowStreamLocalForwarding), so libvirt and disks "
        f"there cannot be reached. Set `AllowStreamLocalForwarding yes` in /etc/ssh/sshd_config on "
        f"{name}, remove `DisableForwarding`, and `restrict` or `no-port-forwarding` before the "
        "panel's key in authorized_keys, and run `systemctl reload ssh` (`sshd` on some systems)."
    )


def _listens_at(process: "subprocess.Popen[bytes]", mark: str) -> str | None:
    assert process.stdout is not None
    try:
        line = MarkedLines(process.stdout.fileno(), mark).next(time.monotonic() + SECONDS)
    except (Late, Flooded):
        return None
    return None if line is None else line.decode("ascii", "replace").strip()


def _asked(near: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(SECONDS)
        try:
            asking.connect(str(near))
            return asking.recv(len(ANSWER)) == ANSWER
        except TimeoutError:
            return True  # slow is not forbidden
        except OSError:
            return False


def _let_end(process: "subprocess.Popen[bytes]") -> None:
    from labpanel.adapters.ssh.machine import close_pipes, end  # machine.py stands on this module

    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    end(process)
    close_pipes(process)
