"""The line behind a VM that runs on blocks of a generation, as its row describes it."""

from dataclasses import asdict, dataclass, field
from typing import Any

from backups.models import InstantRun
from labpanel.adapters.lending import Line, Loan
from labpanel.adapters.store_keeper import lock_path


@dataclass(frozen=True, slots=True)
class Link:
    """One disk of an instant run: its image on the host, the generation's image in the store, and
    how much of it is local. `policies` are its own error policies, given back at the end."""

    target: str
    path: str
    image: str
    total_bytes: int
    local_bytes: int = 0
    policies: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def links_of(run: InstantRun) -> list[Link]:
    return [Link(**link) for link in run.links]


def loan_of(run: InstantRun) -> Loan:
    store = run.generation.store
    return Loan(
        token=f"{run.vm_uuid.hex[:12]}-{run.pk}",
        vm_name=run.vm_name,
        lock=lock_path(store.path, str(run.generation.vm_uuid)),
        images={link.target: link.image for link in links_of(run)},
    )


def line_of(run: InstantRun) -> Line:
    return Line(loan_of(run), run.generation.store.endpoint(), run.host.endpoint())
