"""The line behind a VM that runs on blocks of a generation, as its row describes it."""

from dataclasses import asdict, dataclass, field
from typing import Any

from backups.models import Generation, InstantRun
from backups.selectors.copies.lineages import lineages
from labpanel.adapters.store.remote_backing import Backing, BackingImage, RemoteBacking
from labpanel.lib.store_format.names import image, lock_path


@dataclass(frozen=True, slots=True)
class InstantDisk:
    """One disk of an instant run: its image on the host, and how much of it is local. `policies`
    are its own error policies, given back at the end. `image` is in older rows only, and unused."""

    target: str
    path: str
    total_bytes: int
    local_bytes: int = 0
    policies: dict[str, str] = field(default_factory=dict)
    image: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def links_of(run: InstantRun) -> list[InstantDisk]:
    return [InstantDisk(**link) for link in run.links]


def backing_of(run: InstantRun) -> Backing:
    store = run.generation.store
    return Backing(
        token=f"{run.vm_uuid.hex[:12]}-{run.pk}",
        vm_name=run.vm_name,
        store=store.path,
        lock=lock_path(store.path, str(run.generation.vm_uuid)),
        images={link.target: _lent(run.generation, link.target) for link in links_of(run)},
    )


def _lent(generation: Generation, target: str) -> BackingImage:
    said = generation.manifest.disk(target)
    assert said is not None, "the run was asked for with disks of this generation"
    lineage = lineages(generation.vm_uuid, generation.store).get(target)
    return BackingImage(
        path=f"{generation.store.path}/{generation.vm_uuid}/{generation.key}/{image(target)}",
        known=lineage.parents(generation.key) if lineage else {},
        root=said.root,
        virtual_bytes=said.virtual_bytes,
    )


def remote_backing_of(run: InstantRun) -> RemoteBacking:
    return RemoteBacking(backing_of(run), run.generation.store.endpoint(), run.host.endpoint())
