"""Files of a host beside a VM's disks, read and made: onhost/images/beside.py, typed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar

from labpanel.adapters.ssh.session import Front
from labpanel.lib.kept_files import PIECE

SHORT, LONG = 20, 300


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file that is open for reading on its host."""

    bytes: int
    sha256: str


class BesideHost(Front):
    """One host for one piece of work. Raises ScriptRefused when the program refuses."""

    program: ClassVar[str] = "images.beside"

    def take(self, name: str, path: str, most: int) -> TakenFile:
        """Open a file of at most `most` bytes; what it holds now is read, whatever replaces it."""
        found: TakenFile = self._session.call(
            "take", shape=TakenFile, deadline=LONG, name=name, path=path, most=most
        )
        return found

    def pieces(self, name: str, size: int) -> Iterator[tuple[int, str]]:
        """(offset, content as hexadecimal digits) of a file that was taken."""
        for offset in range(0, max(size, 1), PIECE):
            yield offset, self._text("piece", name=name, offset=offset)

    def leave(self, name: str) -> bool:
        """Close it; False if it was written to meanwhile."""
        same: bool = self._session.call("leave", shape=bool, deadline=SHORT, name=name)
        return same

    def make(self, path: str, pieces: Iterator[tuple[int, str]], alive: Callable[[], None]) -> str:
        """Make a file that must not exist yet; the SHA-256 of what lies there then."""
        self._call("make", path=path)
        for offset, content in pieces:
            alive()
            self._call("write", path=path, offset=offset, content=content)
        return self._text("seal", deadline=LONG, path=path)

    def make_parent(self, path: str) -> None:
        self._call("make_folder", path=str(PurePosixPath(path).parent))

    def make_tpm(self, uuid: str, file: str) -> str:
        """Make the folder of this VM's TPM, which must not be there; where its state goes."""
        return self._text("make_tpm", uuid=uuid, file=file)

    def own_tpm(self, uuid: str) -> None:
        """Give it to swtpm's user."""
        self._call("own_tpm", uuid=uuid)

    def remove_tpm(self, uuid: str) -> None:
        """Remove what make_tpm made."""
        self._call("remove_tpm", uuid=uuid)

    def has(self, program: str) -> bool:
        there: bool = self._session.call("has", shape=bool, deadline=SHORT, program=program)
        return there

    def _call(self, verb: str, **arguments: Any) -> None:
        self._session.call(verb, deadline=SHORT, **arguments)

    def _text(self, verb: str, deadline: float = SHORT, **arguments: Any) -> str:
        answer: str = self._session.call(verb, shape=str, deadline=deadline, **arguments)
        return answer
