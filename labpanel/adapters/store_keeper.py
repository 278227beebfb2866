"""A store's minder at work on the store's machine: scripts/keeper.py, typed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from labpanel.adapters.machine import Machine
from labpanel.adapters.script_session import KEEPER, Front

SHORT, LONG = 20, 120
# Hashing and qemu-img check say nothing until one file is through.
SILENT = 3600

Told = Callable[[dict[str, Any]], None]


def lock_path(store: str, vm_uuid: str) -> str:
    """The lock file of a VM's generations in a store, on its machine (scripts/locks.py)."""
    return f"{store}/{vm_uuid}/.lock"


class Keeper(Front):
    """One store for one piece of work. Raises ScriptRefused with the keeper's own sentence."""

    modules: ClassVar[tuple[str, ...]] = KEEPER

    def __init__(self, machine: Machine, path: str, panel_id: str, store_id: str = "") -> None:
        super().__init__(machine)
        self.path = path
        self._panel_id = panel_id
        self._store_id = store_id

    def path_of(self, vm_uuid: str, key: str, file: str) -> str:
        """Where a file of a complete generation lies on the store's machine."""
        return f"{self.path}/{vm_uuid}/{key}/{file}"

    def init(self, *, take_over: bool = False) -> dict[str, Any]:
        """Make or open the store: `{"store_id", "available_bytes", "size_bytes", …}`."""
        answer: dict[str, Any] = self._session.call(
            "init", deadline=SHORT, store=self.path, panel_id=self._panel_id, take_over=take_over
        )
        return answer

    def look(self) -> dict[str, Any]:
        """Room, `generations` (`{"key", "vm_uuid", "manifest" and/or "damage"}`) and `partials`."""
        answer: dict[str, Any] = self._session.call("look", deadline=LONG, **self._whole())
        return answer

    def lock(self, vm_uuid: str, *, exclusive: bool) -> None:
        """Held until this session ends. Shared: reading generations and adding one. Exclusive:
        changing what is there. Raises ScriptRefused "busy" if another session is in the way."""
        self._session.call(
            "lock", deadline=SHORT, vm_uuid=vm_uuid, exclusive=exclusive, **self._whole()
        )

    def mark_again(self) -> bool:
        """Write a lost or damaged marker anew, if a generation proves that this is the store."""
        answer: bool = self._session.call("mark_again", deadline=LONG, **self._whole())
        return answer

    def begin(
        self, vm_uuid: str, key: str, disks: Sequence[Mapping[str, Any]]
    ) -> dict[str, dict[str, str]]:
        """Make the partial generation. `disks` are `{"target", "virtual_bytes", "parent"}`; target
        → `{"image", "digests", "parent", "why"}`: paths of the empty image and of the list, and its
        parent; if the one asked for cannot serve it is "", and `why` a sentence."""
        answer: dict[str, dict[str, str]] = self._session.call(
            "begin", deadline=LONG, vm_uuid=vm_uuid, key=key, disks=list(disks), **self._whole()
        )
        return answer

    def finish(
        self, vm_uuid: str, key: str, manifest: Mapping[str, Any], files: Mapping[str, str]
    ) -> dict[str, Any]:
        """Check, hash, sync, write the manifest and give the generation its name."""
        answer: dict[str, Any] = self._session.call(
            "finish",
            deadline=SILENT,
            store=self.path,
            vm_uuid=vm_uuid,
            key=key,
            manifest=dict(manifest),
            files=dict(files),
        )
        return answer

    def drop(self, vm_uuid: str, key: str) -> bool:
        dropped: bool = self._session.call(
            "drop",
            deadline=LONG,
            store=self.path,
            vm_uuid=vm_uuid,
            key=key,
            panel_id=self._panel_id,
        )
        return dropped

    def manifest(self, vm_uuid: str, key: str) -> dict[str, Any] | None:
        answer: dict[str, Any] | None = self._of("manifest", vm_uuid, key)
        return answer

    def read_text(self, vm_uuid: str, key: str, name: str) -> str:
        answer: str = self._of("read_text", vm_uuid, key, name=name)
        return answer

    def rehash(self, vm_uuid: str, key: str, files: Mapping[str, str], told: Told) -> list[str]:
        """Level 1: sentences on the files that are not what was written."""
        answer: list[str] = self._session.call(
            "rehash",
            deadline=LONG,
            told=told,
            store=self.path,
            vm_uuid=vm_uuid,
            key=key,
            files=dict(files),
        )
        return answer

    def serve(self, name: str, path: str) -> str:
        """Export a generation's image for reading; the socket's path on the store's machine."""
        return self._export(name, path, "qcow2", writable=False)

    def serve_list(self, name: str, path: str) -> str:
        """Export a generation's list of digests for reading."""
        return self._export(name, path, "raw", writable=False)

    def serve_bytes(self, name: str, path: str) -> str:
        """Export the bytes of a file of a partial generation, to be written from afar."""
        return self._export(name, path, "raw", writable=True)

    def _export(self, name: str, path: str, form: str, *, writable: bool) -> str:
        socket: str = self._session.call(
            "serve", deadline=LONG, name=name, path=path, form=form, writable=writable
        )
        return socket

    def stop(self, socket: str) -> None:
        self._session.call("stop", deadline=150, socket=socket)

    def _whole(self) -> dict[str, Any]:
        return {"store": self.path, "panel_id": self._panel_id, "store_id": self._store_id}

    def _of(self, verb: str, vm_uuid: str, key: str, **more: Any) -> Any:
        return self._session.call(
            verb, deadline=SHORT, store=self.path, vm_uuid=vm_uuid, key=key, **more
        )
