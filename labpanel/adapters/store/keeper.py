"""Client for the store program, which runs on the store's machine: onhost/store/keeper.py."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, TypeVar

from labpanel.adapters.errors import Refused
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import Front
from labpanel.adapters.store import answers as store_answers
from labpanel.adapters.store.answers import BadAnswer, Looked
from labpanel.lib.kept_files import PIECE
from labpanel.lib.store_format.found import AskedDisk, BegunDisk
from labpanel.lib.store_format.manifest import Manifest, Signature
from labpanel.lib.store_format.names import FILE, KEY
from labpanel.lib.strict_json import Malformed

SHORT, LONG = 20, 120
MOST_TOLD = 32 << 20  # characters of all that a look tells of generations
_SOCKET = re.compile(r"/[A-Za-z0-9_./-]{1,106}")  # unix(7): 107 bytes
# Hashing and qemu-img check say nothing until one file is through.
SILENT = 3600

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

OnProgress = Callable[[dict[str, Any]], None]
Pieces = Iterable[tuple[int, str]]
Parents = Mapping[str, str | None]
T = TypeVar("T")


class Keeper(Front):
    """One store for one piece of work. Raises ScriptRefused with the keeper's own sentence."""

    program: ClassVar[str] = "store.keeper"

    def __init__(self, machine: Machine, path: str, panel_id: str, store_id: str = "") -> None:
        super().__init__(machine)
        self.path = path
        self._panel_id = panel_id
        self._store_id = store_id

    def path_of(self, vm_uuid: str, key: str, file: str) -> str:
        """Where a file of a complete generation lies on the store's machine. Raises Refused for
        names that could lead elsewhere, whatever they come from."""
        if not (_UUID.fullmatch(vm_uuid) and KEY.fullmatch(key) and FILE.fullmatch(file)):
            named = f"{vm_uuid}/{key}/{file}"
            raise Refused(f"{named!r} is not a file of a generation.")
        return f"{self.path}/{vm_uuid}/{key}/{file}"

    def init(
        self, *, take_over: bool = False, make: bool = False, mounts: Sequence[str] = ()
    ) -> str:
        """Make or open the store; its ID. `make`: its folder, too, unless that would lie on one
        of `mounts` (seen there before) or another mount point without its mount."""
        answer = self._session.call(
            "init",
            deadline=SHORT,
            store=self.path,
            panel_id=self._panel_id,
            take_over=take_over,
            make=make,
            mounts=list(mounts),
        )
        return self._checked(store_answers.marker_id, answer)

    def look(self) -> Looked:
        """Room, and every generation that lies there."""
        told: list[Any] = []
        room = [MOST_TOLD]

        def hear(event: dict[str, Any]) -> None:
            room[0] -= len(str(event))
            if room[0] < 0 or len(told) > store_answers.MOST_GENERATIONS:
                error = Malformed("it tells of more generations than a store holds")
                raise BadAnswer(self.machine.endpoint.name, error)
            entries = event.get("generations")
            told.extend(entries if isinstance(entries, list) else [])

        answer = self._session.call("look", deadline=LONG, on_progress=hear, **self._whole())
        return self._checked(store_answers.looked, answer, told, self._store_id)

    def lock(self, vm_uuid: str, *, exclusive: bool) -> None:
        """Held until this session ends. Shared: reading generations and adding one. Exclusive:
        changing what is there. Raises ScriptRefused "busy" if another session is in the way."""
        self._session.call(
            "lock", deadline=SHORT, vm_uuid=vm_uuid, exclusive=exclusive, **self._whole()
        )

    def mark_again(self) -> bool:
        """Write a lost or damaged marker anew, if a generation proves that this is the store."""
        return bool(self._session.call("mark_again", deadline=LONG, **self._whole()))

    def begin(self, vm_uuid: str, key: str, disks: Sequence[AskedDisk]) -> dict[str, BegunDisk]:
        """Make the partial generation; what was made, by target: a disk whose parent cannot serve,
        or has another list, backs on nothing."""
        asked = [asdict(disk) for disk in disks]
        answer = self._session.call(
            "begin", deadline=LONG, vm_uuid=vm_uuid, key=key, disks=asked, **self._whole()
        )
        return self._checked(store_answers.begun, answer, disks)

    def write_small(self, vm_uuid: str, key: str, name: str, pieces: Pieces) -> None:
        """Write a file beside the disks of a generation under way."""
        for offset, content in pieces:
            self._of("write_piece", vm_uuid, key, name=name, offset=offset, content=content)

    def borrow(self, vm_uuid: str, key: str, name: str, of: str, digest: str) -> bool:
        """Take such a file from another generation, if it holds the one with this SHA-256."""
        answer = self._session.call(
            "borrow",
            deadline=LONG,
            store=self.path,
            vm_uuid=vm_uuid,
            key=key,
            name=name,
            of=of,
            digest=digest,
        )
        return answer is True

    def measure(self, vm_uuid: str, key: str, names: Sequence[str]) -> dict[str, int]:
        """Bytes of such files, by name."""
        answer = self._of("measure", vm_uuid, key, names=list(names))
        return self._checked(store_answers.numbers, answer, names)

    def read_small(self, vm_uuid: str, key: str, name: str, size: int) -> Iterator[tuple[int, str]]:
        """The pieces of one: (offset, hexadecimal digits)."""
        for offset in range(0, max(size, 1), PIECE):
            answer = self._of("read_piece", vm_uuid, key, name=name, offset=offset)
            yield offset, self._checked(store_answers.piece, answer)

    def finish(
        self,
        vm_uuid: str,
        key: str,
        manifest: Manifest,
        files: Mapping[str, str],
        lying: Sequence[str] = (),
    ) -> Manifest:
        """Check, hash and sync; the manifest as it is to be published, with the sizes and digests
        of what lies there in the place of those that `manifest` cannot know yet. `lying` are small
        files that were written or borrowed before."""
        answer = self._session.call(
            "finish",
            deadline=SILENT,
            store=self.path,
            vm_uuid=vm_uuid,
            key=key,
            manifest=manifest.as_json(),
            files=dict(files),
            lying=list(lying),
        )
        return self._manifest(answer, vm_uuid, key)

    def publish(self, vm_uuid: str, key: str, manifest: Manifest) -> Manifest:
        """Write the manifest and give the generation its name: from here on it counts."""
        answer = self._of("publish", vm_uuid, key, manifest=manifest.as_json())
        return self._manifest(answer, vm_uuid, key)

    def sign(self, vm_uuid: str, key: str, signature: Signature, identity: str) -> Manifest:
        """Add a signature to a complete generation whose identity (`Manifest.identity_digest`) is
        the one that was signed; the manifest as it is now."""
        more = {"signature": signature.as_json(), "identity": identity}
        return self._manifest(self._of("sign", vm_uuid, key, **more), vm_uuid, key)

    def drop(self, vm_uuid: str, key: str, *, known: bool = False) -> bool:
        """Remove a partial generation; `known`: a job of this panel began it. Raises
        ScriptRefused ("foreign")."""
        dropped: bool = self._session.call(
            "drop",
            deadline=LONG,
            store=self.path,
            vm_uuid=vm_uuid,
            key=key,
            panel_id=self._panel_id,
            known=known,
        )
        return dropped

    def manifest(self, vm_uuid: str, key: str) -> Manifest | None:
        """That of a complete generation; None if there is none that can be read."""
        answer = self._of("manifest", vm_uuid, key)
        return None if answer is None else self._manifest(answer, vm_uuid, key)

    def read_text(self, vm_uuid: str, key: str, name: str) -> str:
        return str(self._of("read_text", vm_uuid, key, name=name))

    def rehash(
        self, vm_uuid: str, key: str, files: Mapping[str, str], on_progress: OnProgress
    ) -> list[str]:
        """Level 1: sentences on the files that are not what was written."""
        answer = self._session.call(
            "rehash",
            deadline=LONG,
            on_progress=on_progress,
            store=self.path,
            vm_uuid=vm_uuid,
            key=key,
            files=dict(files),
        )
        return self._checked(store_answers.sentences, answer)

    def serve(self, name: str, path: str, known: Parents | None = None) -> str:
        """Export a disk of a generation for reading; the socket's path on the store's machine. Its
        chain is opened as the manifests there say; `known` (generation → parent or None) stands in
        for manifests that cannot be read. Raises ScriptRefused ("unreadable") if an image is based
        on anything else."""
        return self._export("serve", name, path, known=dict(known or {}))

    def serve_list(self, name: str, path: str) -> str:
        """Export a generation's list of digests for reading."""
        return self._export("serve_list", name, path)

    def serve_bytes(self, name: str, path: str) -> str:
        """Export the bytes of a file of a partial generation, to be written from afar."""
        return self._export("serve_bytes", name, path)

    def _export(self, verb: str, name: str, path: str, **more: Any) -> str:
        socket = self._session.call(
            verb, deadline=LONG, store=self.path, name=name, path=path, **more
        )
        if not isinstance(socket, str) or not _SOCKET.fullmatch(socket):
            raise BadAnswer(self.machine.endpoint.name, Malformed("it names no socket"))
        return socket

    def content_bytes(self, path: str, known: Parents | None = None) -> int:
        """Bytes that a disk of a generation needs as an image of its own: data and metadata, not
        the holes."""
        size = self._session.call(
            "content_bytes", deadline=LONG, store=self.path, path=path, known=dict(known or {})
        )
        return self._checked(store_answers.number, size)

    def stop(self, socket: str) -> None:
        self._session.call("stop", deadline=150, socket=socket)

    def _whole(self) -> dict[str, Any]:
        return {"store": self.path, "panel_id": self._panel_id, "store_id": self._store_id}

    def _manifest(self, answer: object, vm_uuid: str, key: str) -> Manifest:
        return self._checked(store_answers.manifest, answer, vm_uuid, key, self._store_id)

    def _checked(self, parse: Callable[..., T], *answer: object) -> T:
        return store_answers.checked_by(parse, self.machine.endpoint.name, *answer)

    def _of(self, verb: str, vm_uuid: str, key: str, **more: Any) -> Any:
        return self._session.call(
            verb, deadline=SHORT, store=self.path, vm_uuid=vm_uuid, key=key, **more
        )
