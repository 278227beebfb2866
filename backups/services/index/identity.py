"""Who this panel is: its UUID, as written into the stores that it uses, and its signatures' key.

Both are made once and kept beside the database, each written whole or not at all: of two processes
that make one at once, both get the same.
"""

import contextlib
import os
import re
import secrets
import uuid
from functools import cache
from pathlib import Path

from django.conf import settings

from labpanel.lib.refusal import Refusal

PANEL_ID, KEY = "panel-id", "manifest.key"
_KEY = re.compile(r"[0-9a-f]{64}")


@cache
def panel_id() -> str:
    """This panel's own UUID."""
    return _made_once(PANEL_ID, str(uuid.uuid4()))


@cache
def manifest_key() -> bytes:
    """The key of the signatures in manifests: 32 random bytes that never leave this machine, but
    inside an export of the panel. Raises Refusal if its file was damaged: a new key would turn all
    copies into another panel's."""
    text = _made_once(KEY, secrets.token_hex(32))
    if not _KEY.fullmatch(text):
        raise Refusal(
            f"{Path(settings.HOME_DIR) / KEY} is damaged: bring it back from an export of the "
            f"panel. Without it move the file away: every copy then counts as unsigned until it "
            f"is verified once."
        )
    return bytes.fromhex(text)


def _made_once(name: str, text: str) -> str:
    path = Path(settings.HOME_DIR) / name
    if not path.exists():
        fresh = path.with_name(f".{name}.{secrets.token_hex(8)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"{text}\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink()
    return path.read_text(encoding="ascii", errors="replace").strip()
