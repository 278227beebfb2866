"""Everything that a backup touches outside the panel, in memory: one scene, seen through the same
narrow interfaces. `fails["keeper.begin"] = error` makes that one call fail."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from labpanel.adapters.image_host import Packing
from labpanel.adapters.machine import Machine
from labpanel.adapters.mover import Export, Moved, Saved, Tick
from labpanel.lib.hints import Hint
from labpanel.lib.shapes import PANEL, Endpoint
from labpanel.lib.source_facts import ImageFacts, LastRun

_XML = """<domain type='kvm'><name>home</name><uuid>{uuid}</uuid><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='/srv/images/home.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
</devices></domain>"""
SIZE = 8 << 20


class Scene:
    """What is said (`asked`, in order), what is open, and what the store holds."""

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self.asked: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.active = True
        self.busy = False
        self.quiesced = True
        self.thaws = True
        self.pulling = ""
        self.partials: set[str] = set()
        self.manifests: dict[str, dict[str, Any]] = {}
        self.available_bytes = 100 << 30
        self.files: set[str] = set()
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
        self.floor_bytes = 0

    def content(self) -> int:
        """What `qemu-img measure` says of any image."""
        self.say("measure")
        return SIZE // 4

    def say(self, name: str) -> None:
        self.asked.append(name)
        if name in self.fails:
            raise self.fails[name]

    @contextlib.contextmanager
    def opened(self, endpoint: Endpoint, channel: str = "main") -> Iterator["FakeHypervisor"]:
        yield FakeHypervisor(self)

    @contextlib.contextmanager
    def private_machine(self, endpoint: Endpoint, channel: str) -> Iterator[Machine]:
        yield Machine(endpoint, channel)

    @contextlib.contextmanager
    def relayed(self, origin: Machine, there: Machine, socket: str, folder: str) -> Iterator[str]:
        self.say("relay")
        yield socket


class _Fake(contextlib.AbstractContextManager[Any]):
    machine = Machine(PANEL)

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


class FakeHypervisor:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def call(self, name: str, *, deadline: float, **arguments: Any) -> Any:
        scene = self._scene
        scene.say(name)
        match name:
            case "backup_facts":
                return self._facts()
            case "block_info":
                return {"capacity": SIZE, "allocation": SIZE, "physical": SIZE}
            case "backup_begin":
                return self._begin(arguments["ways"])
            case "thaw":
                return scene.thaws
            case "push_progress":
                return {"running": False, "done_bytes": 1, "total_bytes": 1, "succeeded": True}
            case "prove_checkpoint":
                known = arguments["checkpoint"] in scene.checkpoints
                return scene.doubts if known else "no such checkpoint"
            case "checkpoints":
                return sorted(scene.checkpoints)
            case "forget_checkpoints":
                gone = sorted(scene.checkpoints & set(arguments["names"]))
                scene.checkpoints -= set(gone)
                return gone
            case "abort_backup":
                was, scene.pulling = scene.pulling, ""
                return bool(was)
            case "uuid_of":
                named = [uuid for uuid, name in scene.domains.items() if name in arguments.values()]
                return named[0] if named else ""
            case "networks":
                return ["lan"]
            case "define":
                scene.domains[_between(arguments["xml"], "uuid")] = _between(
                    arguments["xml"], "name"
                )
                return {}
            case "state":
                known = arguments["uuid"] in {scene.uuid, *scene.domains}
                state, reason = scene.paused_for or (1, 1)
                number = 3 if scene.active else -1
                return {"known": known, "state": state, "reason": reason, "id": number}
            case _:
                return True

    def _begin(self, ways: list[dict[str, str]]) -> dict[str, Any]:
        """libvirt that refuses the word `refuses` in a description, if it is set."""
        scene = self._scene
        refused = [way for way in ways if scene.refuses and scene.refuses in str(way)]
        number = len(refused)
        scene.pulling = ways[number]["xml"]
        if ways[number]["name"]:
            scene.checkpoints.add(ways[number]["name"])
        why_not = "" if scene.quiesced else "the agent did not answer"
        return {
            "quiesced": scene.quiesced,
            "why_not": why_not,
            "thawed": scene.thaws,
            "way": number,
            "refused": ["libvirt said no"] * number,
            "checkpoint_xml": ways[number]["checkpoint"],
        }

    def _facts(self) -> dict[str, Any]:
        scene = self._scene
        xml = _XML.format(uuid=scene.uuid)
        if scene.iothread:
            xml = xml.replace("type='qcow2'/>", "type='qcow2' iothread='1'/>")
        return {
            "name": "home",
            "id": 3 if scene.active else -1,
            "state": 1 if scene.active else 5,
            "active": scene.active,
            "xml": xml,
            "inactive_xml": xml,
            "job": scene.busy,
            "snapshots": scene.snapshots,
            "managed_save": scene.managed_save,
            "libvirt": 9_000_000,
            "qemu": 7_002_022,
        }


class FakeSource(_Fake):
    """SourceHost: its guard trips when less than the floor is free."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def boot(self, name: str, uuid: str) -> str:
        self._scene.say("source.boot")
        return self._scene.boot

    def images(self, paths: Sequence[tuple[str, str]]) -> list[ImageFacts]:
        self._scene.say("source.images")
        return [self._scene.image for _ in paths]

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


class FakeImages(_Fake):
    """ImageHost."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def domain_folder(self, domain_id: int) -> str:
        self._scene.say("images.domain_folder")
        return f"/var/lib/libvirt/qemu/domain-{domain_id}-home"

    def sockets(self) -> str:
        return "/run/labpanel-x"

    def room(self, path: str) -> dict[str, Any]:
        free = self._scene.available_bytes
        return {"path": path, "available_bytes": free, "size_bytes": 200 << 30, "writable": True}

    def virtual_bytes(self, path: str, form: str) -> int:
        self._scene.say("images.virtual_bytes")
        return SIZE

    def serve(self, name: str, path: str, form: str, *, writable: bool, bitmap: str = "") -> str:
        self._scene.say("images.serve")
        return f"/run/labpanel-x/{name}"

    def serve_compressing(self, name: str, socket: str, export: str) -> Packing:
        self._scene.say("images.serve_compressing")
        return Packing(f"/run/labpanel-x/packing-{name}", name, f"{name}-plain")

    def stop(self, socket: str) -> None:
        self._scene.say("images.stop")

    def existing(self, paths: Sequence[str]) -> list[str]:
        return [path for path in paths if path in self._scene.files]

    def interfaces(self) -> list[str]:
        return ["lo", "br0"]

    def create(self, path: str, form: str, virtual_bytes: int) -> None:
        self._scene.say("images.create")
        self._scene.files.add(path)

    def check(self, path: str, form: str) -> None:
        self._scene.say("images.check")

    def place(self, partial: str, path: str) -> None:
        self._scene.say("images.place")
        self._scene.files.discard(partial)
        self._scene.files.add(path)

    def remove(self, paths: Sequence[str]) -> list[str]:
        self._scene.say("images.remove")
        self._scene.files -= set(paths)
        return list(paths)


class FakeMover(_Fake):
    """Mover: reports half of the disk, does what the scene says, and is through."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def ready(self) -> None:
        self._scene.say("mover.ready")

    def copy(self, source: Export, target: Export, *, told: Callable[[Tick], None]) -> Moved:
        self._scene.during_copy()
        told(Tick(SIZE // 2, SIZE))
        self._scene.say("mover.copy")
        return Moved(SIZE, SIZE, SIZE // 4, 0.5, [], "00ff")

    def flagged(self, source: Export, context: str) -> int | None:
        self._scene.say("mover.flagged")
        return self._scene.flagged_bytes

    def back_up(
        self,
        source: Export,
        target: Export,
        digests: Export,
        *,
        hint: Hint,
        plain: str = "",
        forced: Sequence[Sequence[int]] = (),
        bytes_per_second: int | None = None,
        told: Callable[[Tick], None],
    ) -> Saved:
        scene = self._scene
        scene.during_copy()
        told(Tick(SIZE // 2, SIZE))
        scene.say("mover.back_up")
        scene.saving.append((hint, [list(span) for span in forced], bytes_per_second))
        return dataclasses.replace(
            Saved(SIZE, SIZE, SIZE, SIZE // 4, 0.5, [], [], hinted=True), **scene.saved
        )

    def restore(
        self, source: Export, target: Export, digests: str, *, told: Callable[[Tick], None]
    ) -> Moved:
        self._scene.say("mover.restore")
        return Moved(SIZE, SIZE, SIZE // 4, 0.5, [], "00ff")


class FakeKeeper(_Fake):
    """Keeper."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def lock(self, vm_uuid: str, *, exclusive: bool) -> None:
        self._scene.say("keeper.lock")

    def begin(
        self, vm_uuid: str, key: str, disks: Sequence[Mapping[str, Any]]
    ) -> dict[str, dict[str, str]]:
        self._scene.partials.add(key)
        self._scene.say("keeper.begin")
        return {disk["target"]: self._begun(disk) for disk in disks}

    def _begun(self, disk: Mapping[str, Any]) -> dict[str, str]:
        refused = self._scene.no_parent if disk["parent"] else ""
        path = f"/srv/store/{disk['target']}"
        return {
            "image": f"{path}.qcow2",
            "digests": f"{path}.digests",
            "parent": "" if refused else disk["parent"] or "",
            "why": refused,
        }

    def path_of(self, vm_uuid: str, key: str, file: str) -> str:
        return f"/srv/store/{vm_uuid}/{key}/{file}"

    def read_text(self, vm_uuid: str, key: str, name: str) -> str:
        self._scene.say("keeper.read_text")
        return definition(self._scene.uuid)

    def serve(self, name: str, path: str) -> str:
        self._scene.say("keeper.serve")
        return f"/run/labpanel-y/{name}"

    def serve_bytes(self, name: str, path: str) -> str:
        self._scene.say("keeper.serve_bytes")
        return f"/run/labpanel-y/{name}"

    def stop(self, socket: str) -> None:
        self._scene.say("keeper.stop")

    def finish(
        self, vm_uuid: str, key: str, manifest: dict[str, Any], files: Mapping[str, str]
    ) -> dict[str, Any]:
        self._scene.say("keeper.finish")
        for disk in manifest["disks"]:
            disk.update(file_bytes=SIZE // 4, sha256="e" * 64, root="00ff")
            disk["digests"] = {"file": f"{disk['target']}.digests", "sha256": "d" * 64}
        hashes = dict.fromkeys(files, "f" * 64)
        whole = {**manifest, "files": hashes, "content": f"content of {key}", "seal": "s" * 64}
        self._scene.partials.discard(key)
        self._scene.manifests[key] = whole
        return whole

    def drop(self, vm_uuid: str, key: str) -> bool:
        self._scene.say("keeper.drop")
        had = key in self._scene.partials
        self._scene.partials.discard(key)
        return had

    def manifest(self, vm_uuid: str, key: str) -> dict[str, Any] | None:
        return self._scene.manifests.get(key)


def definition(uuid: str) -> str:
    """The domain.xml of the scene's generations."""
    return _XML.format(uuid=uuid)


def _between(xml: str, tag: str) -> str:
    return xml.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]
