"""A real OpenSSH server on a loopback port, for one test: OpenSSH's own sshd, its own keys.

`bashrc` is what the user's login shell reads before each command (bash(1), "invoked by the remote
shell daemon"): the server gives the session another HOME.
"""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labpanel.adapters.ssh.machine import Machine, end
from labpanel.adapters.ssh.nbd_relay import end_channel
from labpanel.adapters.ssh.openssh import public_key
from labpanel.lib.shapes import Endpoint


@contextlib.contextmanager
def running(
    folder: Path, bashrc: str = "", *more: str, login_shell: str = ""
) -> Iterator[Endpoint]:
    """The server as a host of the panel; `more` are lines for sshd_config(5), `login_shell` is
    root's there (in a mount name space with a passwd of its own)."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")
    if program is None:
        pytest.skip("not installed here: openssh-server")
    home, key = folder / "home", folder / "host_key"
    home.mkdir()
    for name in (".bashrc", ".cshrc"):
        (home / name).write_text(bashrc)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (folder / "authorized_keys").write_text(public_key() + "\n")
    port = free_port()
    config = [
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {key}",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        f"SetEnv HOME={home}",
        f"PidFile {folder}/pid",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        *more,
    ]
    (folder / "config").write_text("\n".join(config) + "\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen(
        [*_with_shell(folder, login_shell), program, "-D", "-e", "-f", folder / "config"],
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # `end` ends a group
    )
    line = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    endpoint = Endpoint("alpha", f"root@127.0.0.1:{port}", line)
    try:
        wait_for(port)
        yield endpoint
    finally:
        end_channel(Machine(endpoint))
        Machine(endpoint).channel.forget()
        end(server)


def _with_shell(folder: Path, shell: str) -> list[str]:
    if not shell:
        return []
    lines = Path("/etc/passwd").read_text().splitlines()
    changed = [
        f"{line.rpartition(':')[0]}:{shell}" if line.startswith("root:") else line for line in lines
    ]
    (folder / "passwd").write_text("\n".join(changed) + "\n")
    bind = 'mount --bind "$0" /etc/passwd && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", bind, str(folder / "passwd")]


def free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        return int(asking.getsockname()[1])


def wait_for(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("sshd does not listen")
