"""A store's minder that drops generations: scripts/pruner.py, typed."""

from collections.abc import Sequence
from dataclasses import dataclass

from labpanel.adapters.script_session import PRUNER
from labpanel.adapters.store_keeper import SILENT, Keeper, Told


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

    modules = PRUNER

    def prune(self, vm_uuid: str, drop: Sequence[str], told: Told) -> Pruned:
        """Drop these generations, after bringing to its end what an earlier prune began. Raises
        ScriptRefused ("busy", "full", "damaged"); then what is listed reads as before,
        and the next call takes up what was begun."""
        answer = self._session.call(
            "prune", deadline=SILENT, told=told, vm_uuid=vm_uuid, drop=list(drop), **self._whole()
        )
        return Pruned(**answer)

    def take_up(self, vm_uuid: str, told: Told) -> list[str]:
        """Bring what an earlier prune began to its end; keys of what that dropped."""
        answer: list[str] = self._session.call(
            "take_up", deadline=SILENT, told=told, vm_uuid=vm_uuid, **self._whole()
        )
        return answer
