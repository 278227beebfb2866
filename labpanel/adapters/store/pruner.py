"""Client for the store program that drops generations: onhost/store/pruner.py."""

from collections.abc import Sequence
from dataclasses import dataclass

from labpanel.adapters.store.keeper import SILENT, Keeper, OnProgress


@dataclass(frozen=True, slots=True)
class Pruned:
    """Keys of the generations that are gone now, what the store has won, and paths of files in
    their folders that are not ours and were left."""

    dropped: list[str]
    freed_bytes: int
    left: list[str]


class Pruner(Keeper):
    """A keeper that also merges. Both verbs take the VM's exclusive lock until the session ends,
    and tell `{"event": "step", "text"}` beside the mover's progress."""

    program = "store.pruner"

    def prune(self, vm_uuid: str, drop: Sequence[str], on_progress: OnProgress) -> Pruned:
        """Drop these generations, after bringing to its end what an earlier prune began. Raises
        ScriptRefused ("busy", "full", "damaged"); then what is listed reads as before,
        and the next call takes up what was begun."""
        answer: Pruned = self._session.call(
            "prune",
            shape=Pruned,
            deadline=SILENT,
            on_progress=on_progress,
            vm_uuid=vm_uuid,
            drop=list(drop),
            **self._whole(),
        )
        return answer

    def take_up(self, vm_uuid: str, on_progress: OnProgress) -> list[str]:
        """Bring what an earlier prune began to its end; keys of what that dropped."""
        answer: list[str] = self._session.call(
            "take_up",
            shape=list[str],
            deadline=SILENT,
            on_progress=on_progress,
            vm_uuid=vm_uuid,
            **self._whole(),
        )
        return answer
