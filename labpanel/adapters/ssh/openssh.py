"""OpenSSH's options and file layout: one control master for a machine and channel, kept open.

Host keys are never learnt silently: StrictHostKeyChecking with a known_hosts file that holds
the confirmed key of this one machine, under an alias, so that a changed address changes nothing.
"""

import hashlib
import os
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from labpanel.adapters.errors import (
    AdapterError,
    HostKeyChanged,
    KeyRefused,
    Refused,
    Unreachable,
)
from labpanel.adapters.ssh.file_lock import locked
from labpanel.lib import tempo
from labpanel.lib.shapes import Endpoint

CONNECT_SECONDS = 6
PERSIST_SECONDS = 180
_KEYGEN_SECONDS = 20
_LAST_PORT = 65535
_MOST_DIGITS = 20
_USER = r"[A-Za-z_][A-Za-z0-9._-]{0,63}"
_NAME_OR_IPV4 = r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}"
# RFC 4007, 11.2: the zone is an interface's name, as br-lan and eth0.10 are.
_IPV6 = r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9][A-Za-z0-9._-]{0,62})?"
_TARGET = re.compile(rf"(?:{_USER}@)?(?:(?:{_NAME_OR_IPV4}|\[{_IPV6}\])(?::[0-9]{{1,5}})?|{_IPV6})")
# sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": the type and the key in base64 (16384 bits of RSA: 2752).
_HOST_KEY = re.compile(
    r"(?:ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa) [A-Za-z0-9+/]{4,2800}={0,2}"
)


def key_file() -> Path:
    return Path(settings.HOME_DIR) / "ssh" / "id_ed25519"


def public_key() -> str:
    """The line for authorized_keys; the key pair is made at the first call."""
    key = key_file()
    public = key.with_suffix(".pub")
    if not public.exists():
        key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(key.parent / "making.lock", _KEYGEN_SECONDS, "Making the panel's key"):
            if not public.exists():
                _make_key(key)
    return public.read_text(encoding="ascii").strip()


def _make_key(key: Path) -> None:
    """Under another name first: a kill in the middle leaves no half key pair."""
    fresh = key.with_suffix(".new")
    for left in (fresh, Path(f"{fresh}.pub")):
        left.unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "labpanel", "-f", str(fresh)],
        check=True,
        timeout=_KEYGEN_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    fresh.replace(key)
    Path(f"{fresh}.pub").replace(key.with_suffix(".pub"))


def is_target(text: str) -> bool:
    """`[user@]address[:port]`: nothing that ssh could take for an option or a command."""
    return len(text) <= 255 and _TARGET.fullmatch(text) is not None and not wrong_port(text)


def wrong_port(target: str) -> str:
    """The port in it where that is none (1 to 65535)."""
    port = _split(target)[1]
    return port if port and not 0 < int(port) <= _LAST_PORT else ""


def is_host_key(line: str) -> bool:
    """A known_hosts line without its host field: type and base64, nothing that begins a line."""
    return _HOST_KEY.fullmatch(line) is not None


def split_target(target: str) -> tuple[str, int]:
    """`user@address[:port]` → (`user@address`, port); an IPv6 address with a port in brackets."""
    address, port = _split(target)
    return address.replace("[", "").replace("]", ""), int(port or 22)


def _split(target: str) -> tuple[str, str]:
    head, colon, tail = target.rpartition(":")
    with_port = tail.isascii() and tail.isdigit() and (head.endswith("]") or ":" not in head)
    return (head, tail[:_MOST_DIGITS]) if colon and with_port else (target, "")


@dataclass(frozen=True, slots=True)
class Channel:
    """One multiplexed connection to a machine. Bulk jobs use one of their own, by name."""

    endpoint: Endpoint
    name: str = "main"

    @property
    def alias(self) -> str:
        digest = hashlib.sha256(f"{self.endpoint.target} {self.endpoint.host_key}".encode())
        return f"labpanel-{digest.hexdigest()[:12]}"

    @property
    def control_path(self) -> Path:
        digest = hashlib.sha256(f"{self.alias} {self.name}".encode()).hexdigest()[:12]
        return Path(settings.RUNTIME_DIR) / f"c-{digest}"

    def known_hosts(self) -> Path:
        if self.endpoint.host_key and not is_host_key(self.endpoint.host_key):
            raise Refused(
                f"The host key noted for {self.endpoint.name} is none: remove the host and add it "
                "again."
            )
        path = self._known
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = f"{self.alias} {self.endpoint.host_key}\n"
        if not path.exists() or path.read_text(encoding="utf-8") != line:
            fresh = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
            fresh.write_text(line, encoding="utf-8")
            fresh.replace(path)
        return path

    def forget(self) -> None:
        """Remove the file with the host's key, whatever is noted of the host."""
        self._known.unlink(missing_ok=True)

    @property
    def _known(self) -> Path:
        return key_file().parent / f"known-{self.alias}"

    def options(self) -> list[str]:
        pairs = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.known_hosts()),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": self.alias,
            "IdentitiesOnly": "yes",
            "IdentityFile": str(key_file()),
            "PreferredAuthentications": "publickey",
            "ConnectTimeout": str(CONNECT_SECONDS),
            "ServerAliveInterval": f"{max(1, round(tempo.NOW.ssh_alive))}",
            "ServerAliveCountMax": "3",
            "ExitOnForwardFailure": "yes",
            "StreamLocalBindUnlink": "yes",
            "ForwardAgent": "no",
            # AES-GCM where the CPU has instructions for it: measured on one stream, 540 MiB/s
            # against ChaCha20's 210.
            "Ciphers": "^aes128-gcm@openssh.com",
            "ControlPath": str(self.control_path),
            "LogLevel": "ERROR",
        }
        flat = ["-F", "none"]
        for key, value in pairs.items():
            flat += ["-o", f"{key}={value}"]
        return flat

    def command(self, *words: str) -> list[str]:
        """The client's argument list: options first, then `words`, then the destination."""
        if not is_target(self.endpoint.target):
            raise Refused(
                f"The address noted for {self.endpoint.name} is not an SSH target: remove the host "
                "and add it again."
            )
        address, port = split_target(self.endpoint.target)
        return ["ssh", *self.options(), *words, "-p", str(port), address]


def explain(endpoint: Endpoint, stderr: str) -> AdapterError:
    """ssh's own words (status 255) as an error of ours."""
    name, text = endpoint.name, stderr.strip()
    if "IDENTIFICATION HAS CHANGED" in text or "Host key verification failed" in text:
        return HostKeyChanged(
            f"{name} shows another SSH host key than the one you confirmed. If you reinstalled "
            f"it, remove the host and add it again; if not, the connection may be intercepted.",
            text,
        )
    if "Permission denied" in text or "Too many authentication failures" in text:
        user = split_target(endpoint.target)[0].rpartition("@")[0] or "the user"
        return KeyRefused(
            f"{name} does not accept the panel's key. Add the line that `./panel host key` "
            f"prints to ~/.ssh/authorized_keys of {user} on {name}.",
            text,
        )
    return Unreachable(f"{name} does not answer over SSH at {endpoint.target}{_why(text)}.", text)


# ssh's words → ours
_REASONS = {
    "Could not resolve hostname": "no machine is known by that name",
    "Connection refused": "the port is closed, so no SSH server runs there",
    "No route to host": "no way leads there, so it is off or the network is cut",
    "Network is unreachable": "no way leads there, so the network is cut",
    "timed out": "no answer, so it is off, hangs, or the network is cut",
    "Connection closed": "it hung up",
    "Connection reset": "it hung up",
}


def _why(text: str) -> str:
    """ ": reason" where ssh gave one that we know."""
    found = (reason for words, reason in _REASONS.items() if words in text)
    reason = next(found, "")
    return f": {reason}" if reason else ""
