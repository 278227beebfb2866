"""Where a panel's state lies under LABPANEL_HOME, and which of it a copy takes along."""

import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings

from labpanel.adapters.here.age import CopyKey
from labpanel.lib.panel_copy import DATABASE, PARTS
from labpanel.lib.printable import printable

KEY_FILE = "copy-key.json"
EXPORT_FILE = "exported.json"
# Copies of the database alone that were made before its tables were changed.
BEFORE = "copies"
KEEP_BEFORE = 3
BEFORE_NAME = re.compile(r"before-[0-9]{8}T[0-9]{6}Z\.sqlite3\Z")
LOCK = "copies.lock"
_KEY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class PanelState:
    """One panel's files. `database` is None where PostgreSQL holds it."""

    home: Path
    database: Path | None

    def part(self, name: str) -> Path:
        """Where a part of a copy (lib/panel_copy.PARTS) belongs."""
        if name == DATABASE:
            assert self.database is not None
            return self.database
        return self.home / name

    def keys(self) -> dict[str, Path]:
        """The parts beside the database that exist."""
        places = {name: self.home / name for name in PARTS if name != DATABASE}
        return {name: path for name, path in places.items() if path.is_file()}


def panel_state() -> PanelState:
    """The state of the panel that this process belongs to."""
    database = settings.DATABASES["default"]
    is_file = str(database["ENGINE"]).endswith("sqlite3")
    return PanelState(Path(settings.HOME_DIR), Path(database["NAME"]) if is_file else None)


def read_key(home: Path) -> CopyKey | None:
    """The key that copies are encrypted with; None before a passphrase was chosen, or if what is
    there is no key."""
    try:
        with (home / KEY_FILE).open("rb") as file:
            value = json.loads(file.read(_KEY_BYTES))
        recipient, sealed = value["recipient"], value["sealed"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(recipient, str) or not isinstance(sealed, str):
        return None
    return CopyKey(recipient, sealed)


def write_key(home: Path, key: CopyKey) -> None:
    write_private(home / KEY_FILE, json.dumps(asdict(key), indent=1) + "\n")


@dataclass(frozen=True, slots=True)
class WrittenCopy:
    """A copy of the panel that was written into a file by hand."""

    path: str
    made_at: datetime
    size: int


def note_export(home: Path, export: WrittenCopy) -> None:
    noted = {"path": export.path, "made_at": export.made_at.isoformat(), "size": export.size}
    write_private(home / EXPORT_FILE, json.dumps(noted) + "\n")


def read_export(home: Path) -> WrittenCopy | None:
    """The newest one; None if there was none, or what is there is no note of one."""
    try:
        with (home / EXPORT_FILE).open("rb") as file:
            value = json.loads(file.read(_KEY_BYTES))
        made_at = datetime.fromisoformat(value["made_at"])
        found = WrittenCopy(printable(str(value["path"])), made_at, int(value["size"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return found if made_at.tzinfo else None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads: whole or not at all, and on the disk."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """See a rename in this folder on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copies_before(home: Path) -> list[Path]:
    """The copies made before the tables were changed, newest first."""
    folder = home / BEFORE
    found = folder.iterdir() if folder.is_dir() else []
    return sorted((path for path in found if BEFORE_NAME.match(path.name)), reverse=True)
