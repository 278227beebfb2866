"""Disk images of a machine made, served and looked at: scripts/exporter.py, typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from labpanel.adapters.script_session import EXPORTER, Front

SHORT, LONG = 20, 600


@dataclass(frozen=True, slots=True)
class Packing:
    """Two exports of one image on one socket: `name` compresses what is written, `plain` does not
    (they are the same where the host lacks qemu-storage-daemon)."""

    socket: str
    name: str
    plain: str


class ImageHost(Front):
    """One machine's images for one piece of work. Raises ScriptRefused for a no."""

    modules: ClassVar[tuple[str, ...]] = EXPORTER

    def sockets(self) -> str:
        """A private folder there for this piece of work's sockets; it goes with the session."""
        return self._text("sockets")

    def domain_folder(self, domain_id: int) -> str:
        return self._text("domain_folder", domain_id=domain_id)

    def virtual_bytes(self, path: str, form: str) -> int:
        size: int = self._session.call("size", deadline=SHORT, path=path, form=form)
        return size

    def stamps(self, paths: Sequence[str]) -> list[list[int]]:
        """Modification time (ns) and size of files, to see whether they were written to."""
        answer: list[list[int]] = self._session.call("stamps", deadline=SHORT, paths=list(paths))
        return answer

    def create(self, path: str, form: str, virtual_bytes: int) -> None:
        self._session.call(
            "create", deadline=LONG, path=path, form=form, virtual_bytes=virtual_bytes
        )

    def serve(self, name: str, path: str, form: str, *, writable: bool, bitmap: str = "") -> str:
        """Export an image, with its persistent dirty bitmap called `bitmap` if that is given."""
        return self._text(
            "serve", name=name, path=path, form=form, writable=writable, bitmap=bitmap
        )

    def serve_compressing(self, name: str, socket: str, export: str) -> Packing:
        """Export a way to write compressed into the qcow2 image whose bytes `socket` exports."""
        answer: dict[str, str] = self._session.call(
            "serve_compressing", deadline=SHORT, name=name, socket=socket, export=export
        )
        return Packing(**answer)

    def stop(self, socket: str) -> None:
        self._session.call("stop", deadline=LONG, socket=socket)

    def check(self, path: str, form: str) -> None:
        self._session.call("check", deadline=LONG, path=path, form=form)

    def place(self, partial: str, path: str) -> None:
        """Give a finished image its final name, never over an existing file."""
        self._session.call("place", deadline=LONG, partial=partial, path=path)

    def remove(self, paths: Sequence[str]) -> list[str]:
        """Remove files that this panel made and wrote down; those that were there."""
        answer: list[str] = self._session.call("remove", deadline=SHORT, paths=list(paths))
        return answer

    def room(self, path: str) -> dict[str, Any]:
        """Nearest folder: `{"path", "available_bytes", "size_bytes", "device", "writable"}`."""
        answer: dict[str, Any] = self._session.call("room", deadline=SHORT, path=path)
        return answer

    def existing(self, paths: Sequence[str]) -> list[str]:
        answer: list[str] = self._session.call("existing", deadline=SHORT, paths=list(paths))
        return answer

    def interfaces(self) -> list[str]:
        answer: list[str] = self._session.call("interfaces", deadline=SHORT)
        return answer

    def read_file(self, path: str) -> str:
        return self._text("read_file", path=path)

    def write_file(self, path: str, content: str) -> None:
        self._session.call("write_file", deadline=SHORT, path=path, content=content)

    def _text(self, verb: str, **arguments: Any) -> str:
        answer: str = self._session.call(verb, deadline=SHORT + 10, **arguments)
        return answer
