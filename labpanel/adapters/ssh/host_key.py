"""A machine's SSH host key, asked for before it is trusted (ssh-keyscan)."""

import base64
import hashlib
import subprocess
import time
from dataclasses import dataclass

from labpanel.adapters.answers import bounded
from labpanel.adapters.errors import AdapterError, HostKeyChanged, TimedOut, Unreachable
from labpanel.adapters.ssh.machine import close_pipes, end
from labpanel.adapters.ssh.openssh import (
    CONNECT_SECONDS,
    Channel,
    explain,
    is_host_key,
    split_target,
)
from labpanel.lib.shapes import Endpoint

# Best first: a machine that has several is known by the best.
_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_RSA = "ssh-rsa"
_MOST = 1 << 18  # five keys have 3 KiB


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


def fetch(name: str, target: str) -> HostKey:
    """Ask the machine at `target` for its key. Raises an AdapterError that says why not."""
    address, port = split_target(target)
    words = ["ssh-keyscan", "-T", str(CONNECT_SECONDS), "-p", str(port)]
    try:
        said = _run([*words, "--", address.rpartition("@")[2]])
    except bounded.Late as late:
        sentence = (
            f"{name} does not answer over SSH at {target}: it hangs, or a firewall is between."
        )
        raise TimedOut(sentence) from late
    found = _keys(said.stdout.decode("ascii", "replace"))
    for kind in (*_KINDS, _RSA):
        if kind in found:
            return HostKey(f"{kind} {found[kind]}")
    raise _why_not(name, target)


def _keys(scanned: str) -> dict[str, str]:
    lines = (line.split() for line in scanned.splitlines() if not line.startswith("#"))
    found = (words for words in lines if len(words) == 3)
    return {kind: key for _, kind, key in found if is_host_key(f"{kind} {key}") and _decodes(key)}


def _decodes(key: str) -> bool:
    try:
        return bool(base64.b64decode(key, validate=True))
    except ValueError:
        return False


def _run(words: list[str]) -> bounded.BothOutputs:
    """A program of this machine that talks to a stranger. Raises bounded.Late."""
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + CONNECT_SECONDS * 2
        return bounded.communicate(process, until=until, most=_MOST)
    except bounded.TooMuch:
        return bounded.BothOutputs(b"", b"")
    finally:
        end(process, grace=0.2)
        close_pipes(process)


def _why_not(name: str, target: str) -> AdapterError:
    """ssh-keyscan does not say why it failed; ssh, which may trust no host here, does."""
    channel = Channel(Endpoint(name, target), "key")
    command = channel.command("-o", "ControlPath=none", "-T")
    try:
        said = _run([*command, "--", "true"])
    except bounded.Late:
        return TimedOut(f"{name} took the connection at {target} but does not speak SSH.")
    finally:
        channel.forget()
    error = explain(Endpoint(name, target), said.stderr.decode("utf-8", "replace"))
    if isinstance(error, HostKeyChanged):
        return Unreachable(f"{name} at {target} shows no SSH host key that can be read.")
    return error
