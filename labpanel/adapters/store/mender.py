"""Client for the store program that also mends: onhost/store/mender.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from labpanel.adapters.images.mover import Export
from labpanel.adapters.store.keeper import LONG, SHORT, SILENT, Keeper, OnProgress, Pieces
from labpanel.lib.store_format.manifest import Manifest


class Mender(Keeper):
    """Nothing takes the place of a rotten file before it is proven. What cannot be mended is
    refused (ScriptRefused, the end of a sentence), and then everything is as it was."""

    program = "store.mender"

    def ready(self, vm_uuid: str, on_progress: OnProgress) -> None:
        """Lock the VM's generations until this session ends ("busy" if another job uses
        them), and bring to its end what an earlier change left."""
        self._session.call(
            "mend_ready", deadline=SILENT, on_progress=on_progress, vm_uuid=vm_uuid, **self._whole()
        )

    def sockets(self) -> str:
        """This session's folder for sockets, on the store's machine."""
        folder: str = self._session.call("sockets", shape=str, deadline=SHORT)
        return folder

    def wanted(
        self, vm_uuid: str, key: str, target: str, bad: Sequence[Sequence[int]]
    ) -> dict[str, str]:
        """Number → digest of the blocks within `bad` that must be found somewhere."""
        spans = [list(span) for span in bad]
        found: dict[str, str] = self._mend(
            "wanted", vm_uuid, key, shape=dict[str, str], target=target, bad=spans
        )
        return found

    def lacking(
        self, wanted: Mapping[str, str], views: Sequence[Export], on_progress: OnProgress
    ) -> list[list[int]]:
        """[first byte, byte after] of what no view really holds; says each second that it reads."""
        answer: list[list[int]] = self._session.call(
            "lacking",
            shape=list[list[int]],
            deadline=LONG,
            on_progress=on_progress,
            wanted=dict(wanted),
            views=_pairs(views),
        )
        return answer

    def image(
        self, vm_uuid: str, key: str, target: str, views: Sequence[Export], on_progress: OnProgress
    ) -> None:
        """Make a disk's image anew from what is left of it and from `views`."""
        pairs = _pairs(views)
        self._mend("mend_image", vm_uuid, key, on_progress=on_progress, target=target, views=pairs)

    def list_again(self, vm_uuid: str, key: str, target: str, on_progress: OnProgress) -> None:
        """Make a disk's list of digests anew, if the content proves it."""
        self._mend("mend_list", vm_uuid, key, on_progress=on_progress, target=target)

    def text(self, vm_uuid: str, key: str, name: str, pieces: Pieces) -> None:
        """Put a small file back, if the pieces are what its manifest tells of."""
        for offset, content in pieces:
            self._mend("mend_piece", vm_uuid, key, name=name, offset=offset, content=content)
        self._mend("mend_text", vm_uuid, key, name=name)

    def put_manifest(self, vm_uuid: str, key: str, found: Manifest) -> None:
        self._mend("mend_manifest", vm_uuid, key, found=found.as_json())

    def _mend(
        self,
        verb: str,
        vm_uuid: str,
        key: str,
        on_progress: OnProgress | None = None,
        shape: Any = None,
        **more: Any,
    ) -> Any:
        deadline = SILENT if on_progress else LONG
        whole = {"store": self.path, "vm_uuid": vm_uuid, "key": key}
        return self._session.call(
            verb, deadline=deadline, on_progress=on_progress, shape=shape, **whole, **more
        )


def _pairs(views: Sequence[Export]) -> list[list[str]]:
    return [[view.socket, view.name] for view in views]
