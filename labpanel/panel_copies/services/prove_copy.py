"""Whether an unpacked copy is a whole panel that this version of labpanel can run."""

import uuid
from collections.abc import Mapping
from pathlib import Path

from django.db.migrations.loader import MigrationLoader

from labpanel.adapters.here import sqlite_file
from labpanel.lib.panel_copy import DATABASE
from labpanel.lib.refusal import Refusal
from labpanel.panel_copies.state import KEY_FILE, read_key

_PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n"


def prove_copy(files: Mapping[str, Path]) -> None:
    """`files` are parts of a copy by name. Raises Refusal, which says what is wrong."""
    database = files[DATABASE]
    sqlite_file.check_schema(database)
    wrong = sqlite_file.fault(database, whole=True)
    if wrong:
        raise Refusal(f"The database in this copy is damaged: {wrong}.")
    unknown = newer_than_code(database)
    if unknown:
        raise Refusal(
            f"This copy was made by a newer labpanel (its database has {unknown}): update first."
        )
    for name in files:
        if name in _CHECKS and not _CHECKS[name](files[name]):
            raise Refusal(f"{name} in this copy is not what labpanel writes.")


def newer_than_code(database: Path) -> str:
    """A migration that a database went through and this code does not have; "" if none."""
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations or {}
    unknown = sorted(sqlite_file.applied(database) - set(known))
    return ".".join(unknown[0]) if unknown else ""


def _is_uuid(path: Path) -> bool:
    try:
        return bool(uuid.UUID(path.read_text("ascii").strip()))
    except ValueError:
        return False


def _is_secret(path: Path) -> bool:
    text = path.read_bytes()
    return text.isascii() and len(text.strip()) >= 20


def _is_private_key(path: Path) -> bool:
    return path.read_bytes().startswith(_PRIVATE_KEY.encode())


def _is_copy_key(path: Path) -> bool:
    return path.name == KEY_FILE and read_key(path.parent) is not None


_CHECKS = {
    "panel-id": _is_uuid,
    "secret.key": _is_secret,
    "ssh/id_ed25519": _is_private_key,
    KEY_FILE: _is_copy_key,
}
