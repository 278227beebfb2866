"""The tables of keeping."""

from backups.models.generation import Generation, GenerationDisk, Rehearsal
from backups.models.instant import InstantRun
from backups.models.made import MadeVM
from backups.models.policy import Exclusion, Hold, Policy, PolicyMember, PolicyRun
from backups.models.store import Store, StoreReading

__all__ = [
    "Exclusion",
    "Generation",
    "GenerationDisk",
    "Hold",
    "InstantRun",
    "MadeVM",
    "Policy",
    "PolicyMember",
    "PolicyRun",
    "Rehearsal",
    "Store",
    "StoreReading",
]
