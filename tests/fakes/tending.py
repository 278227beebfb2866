"""The libvirt that a VM on borrowed blocks runs on, in memory."""

from labpanel.adapters.libvirt.uses.borrowing import Borrowed
from labpanel.adapters.libvirt.uses.definitions import Defined
from labpanel.adapters.libvirt.uses.jobs import Tends
from tests.fakes.domains import FakeHypervisor


class Tended(FakeHypervisor, Tends):
    """The domain as `scene.saved["facts"]` has it. Each call is said as "pool.…"."""

    def _say(self, name: str) -> None:
        self._scene.say(f"pool.{name}")

    def borrowed(self, uuid: str) -> Borrowed | None:
        self._say("borrowed")
        found: Borrowed | None = self._scene.saved["facts"]
        return found

    def pull(self, uuid: str, target: str, *, bytes_per_second: int) -> None:
        self._say("pull")
        self._scene.saved.setdefault("pulled", []).append((uuid, target, bytes_per_second))

    def define(self, xml: str) -> Defined:
        self._say("define")
        return Defined("", "")
