"""Write a copy of the panel into a file."""

import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from labpanel.adapters.here.age import CopyKey
from labpanel.lib.refusal import Refusal
from labpanel.panel_copies.services.make_copy import copied
from labpanel.panel_copies.state import PanelState, WrittenCopy, note_export, sync


def export_panel(state: PanelState, key: CopyKey, target: Path, now: datetime) -> int:
    """The size in bytes. `target` must not exist; it appears whole or not at all, for its owner
    alone. Raises Refusal or what making a copy raises."""
    target = target.absolute()
    if target.exists() or target.is_symlink():
        raise Refusal(f"{target} exists already; name a file that does not.", 409)
    if not target.parent.is_dir():
        raise Refusal(f"{target.parent} is not a directory.")
    partial = target.with_name(f".{target.name}.partial")
    with copied(state, key, now) as made:
        try:
            with made.open("rb") as source, _private(partial) as file:
                shutil.copyfileobj(source, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                raise Refusal(f"{target} was made by another program meanwhile.", 409)
            partial.rename(target)
            sync(target.parent)
        except OSError as error:
            raise Refusal(f"{target} cannot be written: {error.strerror}.") from error
        finally:
            partial.unlink(missing_ok=True)
        size = target.stat().st_size
        note_export(state.home, WrittenCopy(str(target), now, size))
        return size


def _private(path: Path) -> BinaryIO:
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb")
