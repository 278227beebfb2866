"""What a look at a host asks of its libvirt: its VMs, their disks, and what they count."""

from collections.abc import Sequence
from typing import Protocol

from labpanel.adapters.libvirt import answers
from labpanel.adapters.libvirt.answers import Reports, Stats
from labpanel.adapters.libvirt.calls import Calls, asks
from labpanel.lib.vm_state import DiskError


class ReadsLoad(Protocol):
    """For samples."""

    def stats(self) -> dict[str, Stats]:
        """UUID → libvirt's own field names, of all running domains."""


class ReadsDomains(Protocol):
    """For the inventory."""

    def versions(self) -> dict[str, int]:
        """`libvirt_version` and `qemu_version`, 1 000 000 × major + 1 000 × minor."""

    def inventory(self) -> Reports: ...

    def disk_sizes(self) -> dict[str, dict[str, list[int | None]]]:
        """UUID → target → capacity and allocation in bytes, of VMs that are on."""

    def disk_errors(self, uuids: Sequence[str]) -> dict[str, dict[str, DiskError]]:
        """UUID → target → what stopped it."""


_STATS = asks("stats", 5, answers.stats)
# Some libvirts start a QEMU to answer.
_VERSIONS = asks("versions", 10, answers.versions)
# One QEMU that hangs can hold these two up.
_SIZES = asks("disk_sizes", 5, answers.sizes)
_ERRORS = asks("disk_errors", 5, answers.disk_errors)
_INVENTORY_SECONDS = 10


class InventoryCalls(Calls, ReadsLoad, ReadsDomains):
    def stats(self) -> dict[str, Stats]:
        return self._do(_STATS)

    def versions(self) -> dict[str, int]:
        return self._do(_VERSIONS)

    def inventory(self) -> Reports:
        host = self._transport.host
        call = asks("inventory", _INVENTORY_SECONDS, lambda answer: answers.reports(answer, host))
        return self._do(call)

    def disk_sizes(self) -> dict[str, dict[str, list[int | None]]]:
        return self._do(_SIZES)

    def disk_errors(self, uuids: Sequence[str]) -> dict[str, dict[str, DiskError]]:
        return self._do(_ERRORS, uuids=list(uuids))
