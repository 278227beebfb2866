"""VMs that run on blocks of a generation, as pages, API and CLI show them."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from backups.models import InstantRun
from labpanel.lib.units import percent


class InstantJson(TypedDict):
    """A VM that runs on blocks of a generation; `error` is empty where all is well."""

    vm: str
    vm_uuid: str
    host: str
    generation: str
    store: str
    began_at: str
    local_bytes: int
    total_bytes: int
    error: str


@dataclass(frozen=True, slots=True)
class InstantRow:
    """`error` is empty while the blocks can be reached."""

    vm: str
    vm_uuid: str
    host: str
    generation: str
    store: str
    began_at: datetime
    local_bytes: int
    total_bytes: int
    error: str

    @property
    def level(self) -> str:
        return "bad" if self.error else "watch"

    @property
    def share(self) -> str:
        return percent(100 * self.local_bytes / self.total_bytes if self.total_bytes else 0.0)

    @property
    def sentence(self) -> str:
        runs = (
            f"{self.vm} on {self.host} runs on blocks of generation {self.generation}, "
            f"{self.share} local."
        )
        if not self.error:
            return runs
        return f"{runs} What is not local waits until {self.store} can be reached: {self.error}"

    def as_json(self) -> InstantJson:
        return {
            "vm": self.vm,
            "vm_uuid": self.vm_uuid,
            "host": self.host,
            "generation": self.generation,
            "store": self.store,
            "began_at": self.began_at.isoformat(),
            "local_bytes": self.local_bytes,
            "total_bytes": self.total_bytes,
            "error": self.error,
        }


def instant_list() -> list[InstantRow]:
    """Oldest first; one query."""
    runs = InstantRun.objects.select_related("host", "generation__store").order_by("began_at")
    return [_shown(run) for run in runs]


def instants_of(vm_uuid: object) -> list[InstantRow]:
    """At most one."""
    return [one for one in instant_list() if one.vm_uuid == str(vm_uuid)]


def instants_on(key: str) -> list[InstantRow]:
    """Those that run on blocks of this generation."""
    return [one for one in instant_list() if one.generation == key]


def _shown(run: InstantRun) -> InstantRow:
    return InstantRow(
        vm=run.vm_name,
        vm_uuid=str(run.vm_uuid),
        host=run.host.name,
        generation=run.generation.key,
        store=run.generation.store.name,
        began_at=run.began_at,
        local_bytes=sum(link["local_bytes"] for link in run.links),
        total_bytes=sum(link["total_bytes"] for link in run.links),
        error=run.error,
    )
