"""Everything that a backup touches outside the panel, in memory: one scene, seen through the same
narrow interfaces. `fails["keeper.begin"] = error` makes that one call fail."""

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from labpanel.adapters.images.image_host import Packing
from labpanel.adapters.images.source_host import SourceImage
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.lib.disks import Below
from labpanel.lib.folder_room import FolderRoom
from labpanel.lib.made import Based, FoundFile, MadeFile, MadeFileState
from labpanel.lib.moving import Having
from labpanel.lib.shapes import PANEL
from labpanel.lib.source_facts import ImageFacts, LastRun
from tests.fakes.asides import FakeAsides, Places
from tests.fakes.domains import SIZE, FakeHypervisor
from tests.fakes.told import Told

if TYPE_CHECKING:
    from labpanel.lib.hints import Hint
    from labpanel.lib.store_format.manifest import Manifest

_XML = """<domain type='kvm'><name>home</name><uuid>{uuid}</uuid><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='/srv/images/home.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
</devices></domain>"""
ROOT = "00ff" * 16


class Scene(Told[FakeHypervisor]):
    """What is said (`asked`, in order), what is open, and what the store holds."""

    def __init__(self, uuid: str) -> None:
        super().__init__()
        self.uuid = uuid
        self.active = True
        self.busy = False
        self.quiesced = True
        self.thaws = True
        self.pulling = ""
        self.partials: set[str] = set()
        self.manifests: dict[str, Manifest] = {}
        self.store_changes: dict[str, Any] = {}
        self.available_bytes = 100 << 30
        self.room_of: dict[str, int] = {}
        self.places = Places()
        self.files: set[str] = set()
        self.small: dict[tuple[str, str], bytes] = {}
        self.texts: dict[str, str] = {}
        self.marks: dict[str, str] = {}
        self.chains: dict[str, tuple[str, ...]] = {}
        self.open: set[str] = set()
        self.has_swtpm = False
        self.domains: dict[str, str] = {}
        self.saved: dict[str, Any] = {}
        self.saving: list[tuple[Hint, list[list[int]], int | None]] = []
        self.no_parent = ""
        self.flagged_bytes: int | None = SIZE
        self.during_copy: Callable[[], None] = lambda: None
        self.boot = "b00:100:5000"
        self.image = ImageFacts((1, SIZE, 5, 5), holds_bitmaps=True, written_at=5.0, changed_at=5.0)
        self.last_run = LastRun()
        self.snapshots = 0
        self.managed_save = False
        self.checkpoints: set[str] = set()
        self.doubts = ""
        self.refuses = ""
        self.iothread = False
        self.paused_for: tuple[int, int] | None = None
        self.own_definition = ""
        self.against = ""
        self.machine_trouble = ""
        self.definition = definition(uuid)
        self.defined: list[str] = []
        self.floor_bytes = 0

    def content(self) -> int:
        """What `qemu-img measure` says of any image."""
        self.say("measure")
        return SIZE // 4

    def libvirt(self) -> FakeHypervisor:
        return FakeHypervisor(self)


class Fake(contextlib.AbstractContextManager[Any]):
    machine = Machine(PANEL)

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


class FakeSource(Fake):
    """SourceHost: its guard trips when less than the floor is free."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def boot(self, name: str, uuid: str) -> str:
        self._scene.say("source.boot")
        return self._scene.boot

    def images(self, asked: Sequence[SourceImage], *, running: bool = False) -> list[ImageFacts]:
        self._scene.say("source.images")
        return [self._scene.image for _ in asked]

    def last_run(self, name: str) -> LastRun:
        self._scene.say("source.last_run")
        return self._scene.last_run

    def guard(self, uuid: str, mark: str, files: Sequence[str], **limits: Any) -> None:
        self._scene.say("source.guard")
        self._scene.floor_bytes = limits["floor_bytes"]

    def thawed(self) -> None:
        self._scene.say("source.thawed")

    def look(self) -> str:
        return "room" if self._scene.available_bytes < self._scene.floor_bytes else ""

    def release(self) -> str:
        return self.look()


class FakeImages(FakeAsides, Fake):
    """ImageHost."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def domain_folder(self, domain_id: int) -> str:
        self._scene.say("images.domain_folder")
        return f"/var/lib/libvirt/qemu/domain-{domain_id}-home"

    def sockets(self) -> str:
        return "/run/labpanel-x"

    def room(self, path: str) -> FolderRoom:
        free = self._scene.room_of.get(path, self._scene.available_bytes)
        device = 1 if path.startswith("/srv/images") else hash(path)
        return FolderRoom(path, free, 200 << 30, device, writable=True)

    def virtual_bytes(self, path: str, image_format: str) -> int:
        self._scene.say("images.virtual_bytes")
        return SIZE

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
        self._scene.say("images.serve")
        return f"/run/labpanel-x/{name}"

    def serve_compressing(self, name: str, socket: str, export: str) -> Packing:
        self._scene.say("images.serve_compressing")
        return Packing(f"/run/labpanel-x/packing-{name}", name, f"{name}-plain")

    def stop(self, socket: str) -> None:
        self._scene.say("images.stop")

    def existing(self, paths: Sequence[str]) -> list[str]:
        return [path for path in paths if path in self._scene.files]

    def having(self, needed: Sequence[str], programs: Sequence[str]) -> Having:
        """A host with one bridge, and the scene's programs and files."""
        missing = tuple(path for path in needed if path not in {"/", *self._scene.files})
        return Having(
            missing, () if self._scene.has_swtpm else tuple(programs), ("br0",), ("br0", "lo")
        )

    def create(self, path: str, image_format: str, virtual_bytes: int) -> None:
        """As exporter.create: O_EXCL refuses a name that is taken."""
        self._scene.say("images.create")
        if path in self._scene.files:
            raise ScriptRefused("os", f"{path}: File exists")
        self._scene.files.add(path)

    def check(self, path: str, image_format: str) -> None:
        self._scene.say("images.check")

    def place(self, partial: str, path: str) -> None:
        self._scene.say("images.place")
        self._scene.files.discard(partial)
        self._scene.files.add(path)

    def mark(self, paths: Sequence[str], word: str) -> list[MadeFile]:
        """ext4: marks are kept, and each file has a number of its own (onhost/images/made.py)."""
        self._scene.say("images.mark")
        assert set(paths) <= self._scene.files, "only what is there can be marked"
        self._scene.marks.update(dict.fromkeys(paths, word))
        return [MadeFile(path, number, word) for number, path in enumerate(paths, 100)]

    def look_at_made(self, files: Sequence[MadeFile]) -> list[FoundFile]:
        self._scene.say("images.look_at_made")
        return [FoundFile(file.path, self._lies(file), 4096) for file in files]

    def based_on(self, files: Sequence[str], images: Sequence[tuple[str, str]]) -> list[Based]:
        """What the images themselves say (`chains`), whatever libvirt says."""
        self._scene.say("images.based_on")
        chains = {path: (path, *self._scene.chains.get(path, ())) for path, _ in images}
        return [Based(path, one) for path, chain in chains.items() for one in chain if one in files]

    def remove_made(self, files: Sequence[MadeFile]) -> list[FoundFile]:
        self._scene.say("images.remove_made")
        found = self.look_at_made(files)
        whole = {each.path for each in found if each.state == MadeFileState.WHOLE}
        self._scene.files -= whole
        return [
            FoundFile(
                each.path, MadeFileState.REMOVED if each.path in whole else each.state, each.bytes
            )
            for each in found
        ]

    def _lies(self, file: MadeFile) -> str:
        if file.path not in self._scene.files:
            return MadeFileState.GONE
        if not file.mark or self._scene.marks.get(file.path) != file.mark:
            return MadeFileState.OTHER
        return MadeFileState.USED if file.path in self._scene.open else MadeFileState.WHOLE

    def remove(self, paths: Sequence[str]) -> list[str]:
        self._scene.say("images.remove")
        self._scene.files -= set(paths)
        return list(paths)


def definition(uuid: str) -> str:
    """The domain.xml of the scene's generations."""
    return _XML.format(uuid=uuid)
