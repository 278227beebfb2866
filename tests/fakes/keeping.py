"""The store's side of a backup in memory: Keeper on a scene of backing_up.py."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from labpanel.adapters.store.answers import begun
from labpanel.lib.store_format.found import AskedDisk, BegunDisk
from labpanel.lib.store_format.manifest import KeptFile, Manifest
from labpanel.lib.store_format.reading import checked
from tests.fakes.backing_up import ROOT, Fake, Scene
from tests.fakes.beside import FakeSmallFiles
from tests.fakes.domains import SIZE


class FakeKeeper(FakeSmallFiles[Scene], Fake):
    """Keeper."""

    def lock(self, vm_uuid: str, *, exclusive: bool) -> None:
        self._scene.say("keeper.lock")

    def begin(self, vm_uuid: str, key: str, disks: Sequence[AskedDisk]) -> dict[str, BegunDisk]:
        self._scene.partials.add(key)
        self._scene.say("keeper.begin")
        return begun({disk.target: self._begun(disk) for disk in disks}, disks)

    def _begun(self, disk: AskedDisk) -> dict[str, str]:
        refused = self._scene.no_parent if disk.parent else ""
        assert not disk.parent or disk.root == ROOT, "filling._copy_list takes no other list"
        path, parent = f"/srv/store/{disk.target}", "" if refused else disk.parent
        return asdict(BegunDisk(f"{path}.qcow2", f"{path}.digests", parent, refused))

    def path_of(self, vm_uuid: str, key: str, file: str) -> str:
        return f"/srv/store/{vm_uuid}/{key}/{file}"

    def read_text(self, vm_uuid: str, key: str, name: str) -> str:
        self._scene.say("keeper.read_text")
        return self._scene.definition

    def serve(self, name: str, path: str, known: Mapping[str, str | None] | None = None) -> str:
        self._scene.say("keeper.serve")
        return f"/run/labpanel-y/{name}"

    def content_bytes(self, path: str, known: Mapping[str, str | None] | None = None) -> int:
        return self._scene.content()

    def serve_bytes(self, name: str, path: str) -> str:
        self._scene.say("keeper.serve_bytes")
        return f"/run/labpanel-y/{name}"

    def stop(self, socket: str) -> None:
        self._scene.say("keeper.stop")

    def finish(
        self,
        vm_uuid: str,
        key: str,
        manifest: Manifest,
        files: Mapping[str, str],
        lying: Sequence[str] = (),
    ) -> Manifest:
        self._scene.say("keeper.finish")
        disks = [
            replace(disk, file_bytes=SIZE // 4, sha256="e" * 64, root=ROOT, list_sha256="d" * 64)
            for disk in manifest.disks
        ]
        contents = {name: text.encode() for name, text in files.items()}
        contents |= {name: self._scene.small[key, name] for name in lying}
        kept = [
            KeptFile(name, hashlib.sha256(content).hexdigest())
            for name, content in sorted(contents.items())
        ]
        self._scene.texts = dict(files)
        whole = replace(manifest.with_disks(tuple(disks)), files=tuple(kept))
        return checked(replace(whole, **self._scene.store_changes).as_json())

    def publish(self, vm_uuid: str, key: str, manifest: Manifest) -> Manifest:
        self._scene.say("keeper.publish")
        self._scene.partials.discard(key)
        self._scene.manifests[key] = checked(manifest.as_json())
        return self._scene.manifests[key]

    def look(self) -> None:
        """Only that it answers: the answer is not a backup's."""
        self._scene.say("keeper.look")

    def drop(self, vm_uuid: str, key: str, *, known: bool = False) -> bool:
        self._scene.say("keeper.drop")
        had = key in self._scene.partials
        self._scene.partials.discard(key)
        return had

    def manifest(self, vm_uuid: str, key: str) -> Manifest | None:
        return self._scene.manifests.get(key)
