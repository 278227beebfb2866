"""A store's minder that also mends: scripts/mender.py, typed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labpanel.adapters.mover import Export
from labpanel.adapters.script_session import PRUNER
from labpanel.adapters.store_keeper import LONG, SHORT, SILENT, Keeper, Told


class Mender(Keeper):
    """Nothing takes the place of a rotten file before it is proven. What cannot be mended is
    refused (ScriptRefused, the end of a sentence), and then everything is as it was."""

    modules = (*PRUNER, "prover", "mender")

    def ready(self, vm_uuid: str, told: Told) -> None:
        """Lock the VM's generations until this session ends ("busy" if somebody is at work on
        them), and bring to its end what an earlier change left."""
        self._session.call(
            "mend_ready", deadline=SILENT, told=told, vm_uuid=vm_uuid, **self._whole()
        )

    def sockets(self) -> str:
        """This session's folder for sockets, on the store's machine."""
        folder: str = self._session.call("sockets", deadline=SHORT)
        return folder

    def wanted(
        self, vm_uuid: str, key: str, target: str, bad: Sequence[Sequence[int]]
    ) -> dict[str, str]:
        """Number → digest of the blocks within `bad` that must be found somewhere."""
        spans = [list(span) for span in bad]
        found: dict[str, str] = self._mend("wanted", vm_uuid, key, target=target, bad=spans)
        return found

    def lacking(
        self, wanted: Mapping[str, str], views: Sequence[Export], told: Told
    ) -> list[list[int]]:
        """[first byte, byte after] of what no view really holds; says each second that it reads."""
        answer: list[list[int]] = self._session.call(
            "lacking", deadline=LONG, told=told, wanted=dict(wanted), views=_pairs(views)
        )
        return answer

    def image(
        self, vm_uuid: str, key: str, target: str, views: Sequence[Export], told: Told
    ) -> None:
        """Make a disk's image anew from what is left of it and from `views`."""
        pairs = _pairs(views)
        self._mend("mend_image", vm_uuid, key, told=told, target=target, views=pairs)

    def list_again(self, vm_uuid: str, key: str, target: str, told: Told) -> None:
        """Make a disk's list of digests anew, if the content proves it."""
        self._mend("mend_list", vm_uuid, key, told=told, target=target)

    def text(self, vm_uuid: str, key: str, name: str, content: bytes) -> None:
        self._mend("mend_text", vm_uuid, key, name=name, content=content.hex())

    def put_manifest(self, vm_uuid: str, key: str, found: Mapping[str, Any]) -> None:
        self._mend("mend_manifest", vm_uuid, key, found=dict(found))

    def _mend(
        self,
        verb: str,
        vm_uuid: str,
        key: str,
        told: Callable[[dict[str, Any]], None] | None = None,
        **more: Any,
    ) -> Any:
        deadline = SILENT if told else LONG
        return self._session.call(
            verb, deadline=deadline, told=told, store=self.path, vm_uuid=vm_uuid, key=key, **more
        )


def _pairs(views: Sequence[Export]) -> list[list[str]]:
    return [[view.socket, view.name] for view in views]
