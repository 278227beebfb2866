"""libvirt's checkpoints: QEMU's records of what changed on a disk since an instant."""

from collections.abc import Sequence
from typing import Protocol

from labpanel.adapters.libvirt.calls import (
    Calls,
    asks,
    changes,
    in_shape,
    read_text,
    read_texts,
)


class Checkpoints(Protocol):
    """All of them touch the named checkpoints only: others may be another program's."""

    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        """The names of all checkpoints of a domain; none of one that is not there."""

    def checkpoints_in_the_way(self, prefix: str) -> dict[str, tuple[str, ...]]:
        """UUID → names that begin with `prefix`, of the running domains that have snapshots."""

    def prove_checkpoint(self, uuid: str, checkpoint: str) -> str:
        """Empty if its bitmaps are whole in the running QEMU, else libvirt's words."""

    def forget_checkpoints(
        self, uuid: str, names: Sequence[str], targets: Sequence[str]
    ) -> tuple[str, ...]:
        """Remove them with their bitmaps on the disks `targets`; those that went. Of a domain that
        is off, or not there, none."""

    def drop_checkpoint_records(self, uuid: str, prefix: str) -> tuple[str, ...]:
        """Make libvirt forget those whose name begins so, without touching an image; their
        names."""


_NAMES = asks("checkpoints", 15, read_texts)
_IN_THE_WAY = asks("checkpoints_in_the_way", 10, in_shape(dict[str, tuple[str, ...]]))
# libvirt writes the bitmaps of each disk.
_PROVE = asks("prove_checkpoint", 60, read_text)
_FORGET = changes("forget_checkpoints", 60, read_texts)
_DROP = changes("drop_checkpoint_records", 15, read_texts)


class CheckpointCalls(Calls, Checkpoints):
    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        return self._do(_NAMES, uuid=uuid)

    def checkpoints_in_the_way(self, prefix: str) -> dict[str, tuple[str, ...]]:
        return self._do(_IN_THE_WAY, prefix=prefix)

    def prove_checkpoint(self, uuid: str, checkpoint: str) -> str:
        return self._do(_PROVE, uuid=uuid, checkpoint=checkpoint)

    def forget_checkpoints(
        self, uuid: str, names: Sequence[str], targets: Sequence[str]
    ) -> tuple[str, ...]:
        return self._do(_FORGET, uuid=uuid, names=list(names), targets=list(targets))

    def drop_checkpoint_records(self, uuid: str, prefix: str) -> tuple[str, ...]:
        return self._do(_DROP, uuid=uuid, prefix=prefix)
