"""Who this panel is, as written into the stores that it uses."""

import os
import uuid
from functools import cache
from pathlib import Path

from django.conf import settings


@cache
def panel_id() -> str:
    """This panel's own UUID, made once and kept beside its database."""
    path = Path(settings.HOME_DIR) / "panel-id"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{uuid.uuid4()}\n")
    return path.read_text(encoding="ascii").strip()
