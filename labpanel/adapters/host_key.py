"""A machine's SSH host key, asked for before it is trusted (ssh-keyscan)."""

import base64
import hashlib
import re
import subprocess
from dataclasses import dataclass

from labpanel.adapters.errors import AdapterError, HostKeyChanged, TimedOut, Unreachable
from labpanel.adapters.ssh import CONNECT_SECONDS, Channel, explain, split_target
from labpanel.lib.shapes import Endpoint

# Best first: a machine that has several is known by the best.
_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_RSA = "ssh-rsa"
_USER = r"[A-Za-z_][A-Za-z0-9._-]*"
_NAME_OR_IPV4 = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_IPV6 = r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9]+)?"
_TARGET = re.compile(rf"(?:{_USER}@)?(?:(?:{_NAME_OR_IPV4}|\[{_IPV6}\])(?::[0-9]{{1,5}})?|{_IPV6})")


@dataclass(frozen=True, slots=True)
class HostKey:
    """`line` is known_hosts' without the host: type and base64."""

    line: str

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it: SHA256:…"""
        blob = base64.b64decode(self.line.split()[1])
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
        return f"SHA256:{digest.rstrip('=')}"


def is_target(text: str) -> bool:
    """`[user@]address[:port]`: nothing that ssh could take for an option or a command."""
    return _TARGET.fullmatch(text) is not None


def fetch(name: str, target: str) -> HostKey:
    """Ask the machine at `target` for its key. Raises an AdapterError that says why not."""
    address, port = split_target(target)
    words = ["ssh-keyscan", "-T", str(CONNECT_SECONDS), "-p", str(port)]
    try:
        done = subprocess.run(
            [*words, "--", address.rpartition("@")[2]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CONNECT_SECONDS * 2,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        sentence = (
            f"{name} does not answer over SSH at {target}: it hangs, or a firewall is between."
        )
        raise TimedOut(sentence) from late
    found = _keys(done.stdout.decode("ascii", "replace"))
    for kind in (*_KINDS, _RSA):
        if kind in found:
            return HostKey(f"{kind} {found[kind]}")
    raise _why_not(name, target)


def _keys(scanned: str) -> dict[str, str]:
    lines = (line.split() for line in scanned.splitlines() if not line.startswith("#"))
    return {words[1]: words[2] for words in lines if len(words) == 3}


def _why_not(name: str, target: str) -> AdapterError:
    """ssh-keyscan keeps its reasons to itself; ssh, which may trust nobody here, names them."""
    channel = Channel(Endpoint(name, target), "key")
    command = channel.command("-o", "ControlPath=none", "-T")
    try:
        done = subprocess.run(
            [*command, "--", "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CONNECT_SECONDS * 2,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return TimedOut(f"{name} took the connection at {target} but does not speak SSH.")
    finally:
        channel.known_hosts().unlink(missing_ok=True)
    error = explain(Endpoint(name, target), done.stderr.decode("utf-8", "replace"))
    if isinstance(error, HostKeyChanged):
        return Unreachable(f"{name} at {target} shows no SSH host key that can be read.")
    return error
