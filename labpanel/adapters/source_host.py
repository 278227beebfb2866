"""The source host of a backup: what it knows of the VM, and the guard over it. scripts/source.py
and scripts/guard.py, typed."""

from collections.abc import Sequence
from typing import Any

from labpanel.adapters.script_session import Front
from labpanel.lib.source_facts import ImageFacts, LastRun

SHORT = 20


class SourceHost(Front):
    """One host for one backup. Raises ScriptRefused for a no."""

    modules = ("wire", "source", "guard")

    def boot(self, name: str, uuid: str) -> str:
        """The VM's QEMU process: "<boot id>:<pid>:<start ticks>"; empty if it is not known."""
        text: str = self._call("boot", name=name, uuid=uuid)
        return text

    def images(self, paths: Sequence[tuple[str, str]]) -> list[ImageFacts]:
        """Facts about each (path, format)."""
        said = self._call("images", paths=[list(pair) for pair in paths])
        return [ImageFacts(**{**one, "stamps": tuple(one.get("stamps", ()))}) for one in said]

    def last_run(self, name: str) -> LastRun:
        return LastRun(**self._call("last_run", name=name))

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
        """Why the host has ended the backup by itself: "scratch", "room", "blind"; empty if not."""
        tripped: str = self._call("look")
        return tripped

    def release(self) -> str:
        """End the guard; what `look` says."""
        tripped: str = self._call("release")
        return tripped

    def _call(self, verb: str, **arguments: Any) -> Any:
        return self._session.call(verb, deadline=SHORT, **arguments)
