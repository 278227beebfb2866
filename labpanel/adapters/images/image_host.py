"""Disk images of a machine made, served and looked at: onhost/images/exporter.py, typed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from labpanel.adapters.ssh.session import Front
from labpanel.lib.disks import Below
from labpanel.lib.folder_room import FolderRoom
from labpanel.lib.made import Based, FoundFile, MadeFile
from labpanel.lib.moving import Having

SHORT, LONG = 20, 600


@dataclass(frozen=True, slots=True)
class Packing:
    """Two exports of one image on one socket: `name` compresses what is written, `plain` does not
    (they are the same where the host lacks qemu-storage-daemon)."""

    socket: str
    name: str
    plain: str


class ImageHost(Front):
    """One machine's images for one piece of work. Raises ScriptRefused when the program refuses."""

    program: ClassVar[str] = "images.exporter"

    def sockets(self) -> str:
        """A private folder there for this piece of work's sockets; it goes with the session."""
        return self._text("sockets")

    def domain_folder(self, domain_id: int) -> str:
        return self._text("domain_folder", domain_id=domain_id)

    def virtual_bytes(self, path: str, image_format: str) -> int:
        size: int = self._session.call(
            "size", shape=int, deadline=SHORT, path=path, image_format=image_format
        )
        return size

    def stamps(self, paths: Sequence[str]) -> list[list[int]]:
        """Modification time (ns) and size of files, to see whether they were written to."""
        answer: list[list[int]] = self._session.call(
            "stamps", shape=list[list[int]], deadline=SHORT, paths=list(paths)
        )
        return answer

    def create(self, path: str, image_format: str, virtual_bytes: int) -> None:
        self._session.call(
            "create",
            deadline=LONG,
            path=path,
            image_format=image_format,
            virtual_bytes=virtual_bytes,
        )

    def serve(
        self,
        name: str,
        path: str,
        image_format: str,
        *,
        writable: bool,
        bitmap: str = "",
        below: Below | None = None,
    ) -> str:
        """Export an image, with its persistent dirty bitmap called `bitmap` if that is given. It
        must stand on its own, or, where `below` is given, be based on what that allows; else it is
        refused ("unreadable")."""
        return self._text(
            "serve",
            name=name,
            path=path,
            image_format=image_format,
            writable=writable,
            bitmap=bitmap,
            below=None if below is None else asdict(below),
        )

    def serve_compressing(self, name: str, socket: str, export: str) -> Packing:
        """Export a way to write compressed into the qcow2 image whose bytes `socket` exports."""
        answer: Packing = self._session.call(
            "serve_compressing",
            shape=Packing,
            deadline=SHORT,
            name=name,
            socket=socket,
            export=export,
        )
        return answer

    def stop(self, socket: str) -> None:
        self._session.call("stop", deadline=LONG, socket=socket)

    def check(self, path: str, image_format: str) -> None:
        self._session.call("check", deadline=LONG, path=path, image_format=image_format)

    def place(self, partial: str, path: str) -> None:
        """Give a finished image its final name, never over an existing file."""
        self._session.call("place", deadline=LONG, partial=partial, path=path)

    def remove(self, paths: Sequence[str]) -> list[str]:
        """Remove files that this panel made and wrote down; those that were there."""
        answer: list[str] = self._session.call(
            "remove", shape=list[str], deadline=SHORT, paths=list(paths)
        )
        return answer

    def room(self, path: str) -> FolderRoom:
        """Of the nearest folder that exists."""
        answer: FolderRoom = self._session.call("room", shape=FolderRoom, deadline=SHORT, path=path)
        return answer

    def takes_writes(self, folder: str) -> str:
        """Why nothing can be written there; empty if something was, to the disk."""
        return self._text("takes_writes", folder=folder)

    def make_aside(self, base: str, name: str, boot: str) -> str:
        """Make a folder in `base` for the user of a QEMU process (source_host.boot), who was seen
        to write there; its path. Raises ScriptRefused ("not-writable")."""
        return self._text("make_aside", base=base, name=name, boot=boot)

    def remove_aside(self, path: str) -> bool:
        """Remove such a folder if it is empty."""
        answer: bool = self._session.call("remove_aside", shape=bool, deadline=SHORT, path=path)
        return answer

    def existing(self, paths: Sequence[str]) -> list[str]:
        answer: list[str] = self._session.call(
            "existing", shape=list[str], deadline=SHORT, paths=list(paths)
        )
        return answer

    def having(self, needed: Sequence[str], programs: Sequence[str]) -> Having:
        """What the machine lacks of these, and its networks."""
        answer: Having = self._session.call(
            "having", shape=Having, deadline=SHORT, needed=list(needed), programs=list(programs)
        )
        return answer

    def mark(self, paths: Sequence[str], word: str) -> list[MadeFile]:
        """Write `word` to files that this panel has just made, by which it knows them again."""
        found: list[MadeFile] = self._session.call(
            "mark", shape=list[MadeFile], deadline=SHORT, paths=list(paths), word=word
        )
        return found

    def look_at_made(self, files: Sequence[MadeFile]) -> list[FoundFile]:
        """What is at the paths of files that were marked."""
        return self._made("look_at_made", files)

    def based_on(self, files: Sequence[str], images: Sequence[tuple[str, str]]) -> list[Based]:
        """Which of the images (path, format) are one of these files or have one in their chain.
        Raises ScriptRefused if one of them cannot be looked at."""
        found: list[Based] = self._session.call(
            "based_on", shape=list[Based], deadline=LONG, files=list(files), images=list(images)
        )
        return found

    def remove_made(self, files: Sequence[MadeFile]) -> list[FoundFile]:
        """Remove those that are still the very files, and that no program has open."""
        return self._made("remove_made", files)

    def _made(self, verb: str, files: Sequence[MadeFile]) -> list[FoundFile]:
        asked = [asdict(file) for file in files]
        found: list[FoundFile] = self._session.call(
            verb, shape=list[FoundFile], deadline=LONG, files=asked
        )
        return found

    def _text(self, verb: str, **arguments: Any) -> str:
        answer: str = self._session.call(verb, shape=str, deadline=SHORT + 10, **arguments)
        return answer
