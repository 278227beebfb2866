"""What is not in a generation, as its row knows it."""

from backups.models import Generation
from labpanel.lib.left_out import LeftOut, from_json


def left_out_of(generation: Generation) -> tuple[LeftOut, ...] | None:
    """None where its manifest does not say."""
    found = generation.left_out
    return None if found is None else from_json(found)
