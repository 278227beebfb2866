"""The source host of a backup: what it knows of the VM, and the guard over it. images/source.py
and images/guard.py, typed."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from labpanel.adapters.errors import Refused
from labpanel.adapters.ssh.session import Front
from labpanel.lib.disks import Below
from labpanel.lib.source_facts import ImageFacts, LastRun

SHORT = 20
_BOOT = re.compile(r"[0-9a-f-]{1,64}:[0-9]{1,10}:[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class SourceImage:
    """A disk's image as libvirt names it, and what it may be based on."""

    path: str
    image_format: str
    below: Below = field(default_factory=Below)


class SourceHost(Front):
    """One host for one backup. Raises ScriptRefused when the program refuses."""

    program = "images.guard"

    def boot(self, name: str, uuid: str) -> str:
        """The VM's QEMU process: "<boot id>:<pid>:<start ticks>"; empty if it is not known."""
        text: str = self._call("boot", shape=str, name=name, uuid=uuid)
        if text and not _BOOT.fullmatch(text):
            host = self.machine.endpoint.name
            raise Refused(f"{host} gave an answer that makes no sense (boot).")
        return text

    def images(self, asked: Sequence[SourceImage], *, running: bool = False) -> list[ImageFacts]:
        """Facts about each. Of an image that is based on something else than it may be nothing is
        known while the VM is `running`; else raises ScriptRefused ("unreadable")."""
        said: list[ImageFacts] = self._call(
            "images",
            shape=list[ImageFacts],
            asked=[asdict(image) for image in asked],
            running=running,
        )
        if len(said) != len(asked):
            host = self.machine.endpoint.name
            raise Refused(f"{host} gave an answer that makes no sense (images).")
        return said

    def last_run(self, name: str) -> LastRun:
        said: LastRun = self._call("last_run", shape=LastRun, name=name)
        return said

    def guard(
        self,
        uuid: str,
        mark: str,
        files: Sequence[str],
        *,
        limit_bytes: int,
        place: str,
        floor_bytes: int,
    ) -> None:
        """End the backup that `mark` tells as ours, there and without us, when its `files` take
        more than `limit_bytes`, less than `floor_bytes` are free in `place`, or we fall silent."""
        self._call(
            "guard",
            uuid=uuid,
            mark=mark,
            files=list(files),
            limit_bytes=limit_bytes,
            place=place,
            floor_bytes=floor_bytes,
        )

    def thawed(self) -> None:
        self._call("thawed")

    def look(self) -> str:
        """Why the host has ended the backup: "scratch", "room", "blind"; empty if not."""
        tripped: str = self._call("look", shape=str)
        return tripped

    def release(self) -> str:
        """End the guard; what `look` says."""
        tripped: str = self._call("release", shape=str)
        return tripped

    def _call(self, verb: str, **arguments: Any) -> Any:
        return self._session.call(verb, deadline=SHORT, **arguments)
