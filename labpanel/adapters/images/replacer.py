"""New images in the place of old ones, which are kept aside: onhost/images/replacer.py, typed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from labpanel.adapters.ssh.session import Front

SHORT, LONG = 60, 3600


@dataclass(frozen=True, slots=True)
class Exchange:
    """One disk: where its image is, the new one beside it, and the old one's name afterwards."""

    target: str
    format: str
    path: str
    new: str
    aside: str


class Replacer(Front):
    """One host's images for one piece of work. Raises ScriptRefused with a sentence."""

    program = "images.replacer"

    def begin(self, exchange: Exchange, virtual_bytes: int) -> str:
        """Make the new image from a copy of the old; why not, if it had to be made empty."""
        answer = self._session.call(
            "begin",
            deadline=LONG,
            old=exchange.path,
            new=exchange.new,
            image_format=exchange.format,
            virtual_bytes=virtual_bytes,
        )
        return str(answer["why_not"])

    def room(self, path: str) -> tuple[int, int]:
        """Bytes that the file takes, and that are free beside it."""
        answer: dict[str, int] = self._session.call(
            "room", deadline=SHORT, shape=dict[str, int], path=path
        )
        return answer.get("taken", 0), answer.get("free", 0)

    def swap(self, exchanges: Sequence[Exchange]) -> list[str]:
        """All of them or, if it is interrupted, to be done again; names of the old images now."""
        pieces = [asdict(exchange) for exchange in exchanges]
        asides: list[str] = self._session.call(
            "swap", shape=list[str], deadline=SHORT, pieces=pieces
        )
        return asides
