"""What comes back beside the disks: kernel and initrd beside the images, UEFI variables and the
state of a TPM where libvirt expects them. Only new files are made.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath

from backups.models import Generation
from backups.services.restore.pieces import RestoreStores
from backups.services.restore.placing import Places, free_path
from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.xml.beside_xml import beside
from labpanel.adapters.libvirt.xml.restore_xml import NewIdentity
from labpanel.jobs.work import Failed
from labpanel.lib.kept_files import BOOT, NVRAM, SWTPM, TPM, tpm_folder

_NVRAM = "/var/lib/libvirt/qemu/nvram"
_KEPT = (*BOOT, NVRAM, *TPM)


@dataclass(frozen=True, slots=True)
class Extra:
    """One file of a generation; `path` is where it goes, empty for the state of a TPM, whose folder
    is made with it."""

    name: str
    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Extras:
    """Those of one generation."""

    generation: Generation
    files: tuple[Extra, ...] = ()

    @property
    def paths(self) -> list[str]:
        return [one.path for one in self.files if one.path]

    @property
    def nvram(self) -> str:
        return next((one.path for one in self.files if one.name == NVRAM), "")

    @property
    def boot(self) -> dict[str, str]:
        """What a direct boot starts, by its element of <os>."""
        return {one.name: one.path for one in self.files if one.name in BOOT}

    @property
    def tpm(self) -> bool:
        return any(one.name in TPM for one in self.files)

    def used_by(self, xml: str) -> "Extras":
        """Without what a definition has no use for, now that its owner left things out of it."""
        found = beside(xml)
        paths = {*found.boot_files.values(), found.nvram}
        own = found.tpm is not None and found.tpm.kind == "emulator" and not found.tpm.elsewhere
        kept = (one for one in self.files if (one.path in paths if one.path else own))
        return replace(self, files=tuple(kept))


def beside_bytes(sources: RestoreStores, generation: Generation) -> int:
    """Room that they need."""
    return sum(_sizes(sources, generation).values())


def extras_of(
    sources: RestoreStores,
    generation: Generation,
    identity: NewIdentity,
    places: Places,
    images: ImageHost,
) -> Extras:
    """What the generation has for this VM, and where it goes; nothing was made yet. Raises Failed
    if a file is not what was written, or the place of a TPM is taken."""
    sizes = _sizes(sources, generation)
    kept = generation.manifest.digests_of_files
    hashes = {name: kept[name] for name in sizes}
    keeper = sources.of(generation).keeper
    wrong = keeper.rehash(str(generation.vm_uuid), generation.key, hashes, lambda _: None)
    if wrong:
        said = "; ".join(wrong)
        raise Failed(f"Generation {generation.key} is damaged: {said}. Nothing was made; mend it.")
    if sizes.keys() & TPM.keys() and images.existing([tpm_folder(identity.uuid)]):
        raise Failed(
            f"{tpm_folder(identity.uuid)} holds the TPM's state of an earlier VM with this UUID. "
            "Nothing was made; rename that folder there, or restore under a new name."
        )
    paths = {name: _path(name, identity, places, images) for name in sizes}
    files = (Extra(name, paths[name], size, hashes[name]) for name, size in sizes.items())
    return Extras(generation, tuple(files))


def marked_of(paths: Sequence[str]) -> list[str]:
    """Those that stay the files that were made: swtpm writes its own anew each time."""
    return [path for path in paths if not path.startswith(f"{SWTPM}/")]


def remove(paths: Sequence[str], uuid: str, images: ImageHost, host: BesideHost) -> None:
    """Remove what `made` was told of."""
    images.remove(paths)
    if any(path.startswith(f"{tpm_folder(uuid)}/") for path in paths):
        with host:
            host.remove_tpm(uuid)


def _sizes(sources: RestoreStores, generation: Generation) -> dict[str, int]:
    names = [name for name in _KEPT if name in generation.manifest.digests_of_files]
    if not names:
        return {}
    return sources.of(generation).keeper.measure(str(generation.vm_uuid), generation.key, names)


def _path(name: str, identity: NewIdentity, places: Places, images: ImageHost) -> str:
    if name == NVRAM:
        return f"{_NVRAM}/{places.stem}-{identity.uuid[:8]}_VARS.fd"
    if name in TPM:
        return ""
    folder = str(PurePosixPath(next(iter(places.paths.values()))).parent)
    return free_path(folder, places.stem, f"-{name}", images)


def bring_back(
    extras: Extras,
    sources: RestoreStores,
    host: BesideHost,
    uuid: str,
    made: Callable[[str], None],
    alive: Callable[[], None],
) -> None:
    """Make them, each held against its digest; `made` is told the path of each as soon as it is
    ours. Raises Failed, ScriptRefused."""
    for extra in extras.files:
        if extra.name == NVRAM:
            host.make_parent(extra.path)
        path = extra.path or host.make_tpm(uuid, extra.name)
        if not extra.path:
            made(path)
        pieces = _pieces(sources, extras.generation, extra, partial(made, path))
        if host.make(path, pieces, alive) != extra.sha256:
            key = extras.generation.key
            raise Failed(f"{extra.name} of generation {key} is not what was written.")
    if extras.tpm:
        host.own_tpm(uuid)


def _pieces(
    sources: RestoreStores, generation: Generation, extra: Extra, ours: Callable[[], None]
) -> Iterator[tuple[int, str]]:
    """What the store has. It is asked for when the file was made: then it is ours."""
    if extra.path:
        ours()
    keeper = sources.of(generation).keeper
    uuid = str(generation.vm_uuid)
    yield from keeper.read_small(uuid, generation.key, extra.name, extra.bytes)
