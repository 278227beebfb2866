"""Strict readers for the environment: a wrong value stops the start with one sentence."""

import hashlib
import os
import secrets
import stat
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from labpanel.lib.tempo import SETTING, Tempo, parse

REPOSITORY = Path(__file__).resolve().parent.parent


def text(name: str, default: str = "") -> str:
    """The value of NAME, or of the file that NAME_FILE names (for secrets)."""
    from_file = os.environ.get(f"{name}_FILE")
    if from_file:
        try:
            return Path(from_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            message = f"{name}_FILE names {from_file}, which cannot be read: {error.strerror}."
            raise ImproperlyConfigured(message) from error
    return os.environ.get(name, default)


def flag(name: str, *, default: bool) -> bool:
    """Yes or no, written as 1/0, true/false, yes/no, on/off."""
    value = os.environ.get(name)
    if value is None:
        return default
    if value.lower() in {"1", "true", "yes", "on"}:
        return True
    if value.lower() in {"0", "false", "no", "off", ""}:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; write 1 or 0.")


def words(name: str, default: str = "") -> list[str]:
    """A list written with commas."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def tempo() -> Tempo:
    """The panel's pauses (labpanel/lib/tempo.py)."""
    try:
        return parse(text(SETTING))
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from error


def networks(name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses and networks written with commas: 127.0.0.1, 10.0.0.0/24, fd00::/8."""
    found = []
    for word in words(name):
        try:
            found.append(ip_network(word))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} holds {word!r}, which is no address and no network: {error}."
            ) from error
    return tuple(found)


def home() -> Path:
    """LABPANEL_HOME: where one panel keeps its state (database, keys, logs)."""
    return Path(os.environ.get("LABPANEL_HOME") or REPOSITORY / "var").resolve()


def runtime() -> Path:
    """A short folder for sockets: a unix socket's path holds 107 bytes (unix(7)).

    Named after LABPANEL_HOME, so that two panels on one machine never meet.
    """
    digest = hashlib.sha256(str(home()).encode()).hexdigest()[:10]
    folder = _runtime_base() / f"labpanel-{os.geteuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ImproperlyConfigured(
            f"{folder} was made by another user or is not a folder; remove it and start again."
        )
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def _runtime_base() -> Path:
    """/run for root, the unit's own folder (RuntimeDirectory=labpanel) where it is this user's."""
    if os.geteuid() == 0:
        return Path("/run")
    own = Path("/run/labpanel")
    try:
        status = own.lstat()
    except OSError:
        return Path("/tmp")  # noqa: S108 - sticky; the folder in it is 0700, its owner checked
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return own if mine and not status.st_mode & 0o022 else Path("/tmp")  # noqa: S108 - as above


def secret_key() -> str:
    """The signing key: from the environment, else made once under LABPANEL_HOME."""
    given = text("LABPANEL_SECRET_KEY")
    if given:
        return given
    path = home() / "secret.key"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text(encoding="ascii")
