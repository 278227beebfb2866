"""Small files of a generation, held against its manifest."""

import hashlib

from backups.models import Generation
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs.work import Failed


def text_of(keeper: Keeper, generation: Generation, name: str) -> str:
    """A text file as it is, any other as hexadecimal digits. Raises Failed if it was changed."""
    text = keeper.read_text(str(generation.vm_uuid), generation.key, name)
    content = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
    if hashlib.sha256(content).hexdigest() != generation.manifest.digests_of_files.get(name):
        raise Failed(f"{name} of generation {generation.key} is not what was written.")
    return text if name.endswith(".xml") else content.hex()
