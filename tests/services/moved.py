"""A made-up VM on alpha that may move to beta, for the tests of moves."""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from django.utils import timezone

from hosts.models import VM, Host
from labpanel.adapters.moving.move_host import FolderRoom
from labpanel.lib.definition import Word
from labpanel.lib.moving import Draft, MoveTarget
from labpanel.lib.shapes import Endpoint
from labpanel.moves.services.ends import End, Ends
from labpanel.moves.services.facts import SourceFacts
from tests.fakes.moving import RUNNING, FakeEnd, facts
from tests.rules.test_fit import BETA, DISK, ON, WEB

UUID = "6d0f4c56-0d5f-4d4f-8f4e-0f6f3a2b1c0d"
IMAGE = DISK.source
READY = dataclasses.replace(BETA, draft=Draft("<domain/>", "<domain/>"))


@dataclass
class Stage:
    """Two fake ends behind two Host rows. `target` is what a plan hears of beta."""

    vm: VM
    alpha: FakeEnd
    beta: FakeEnd
    target: MoveTarget = READY
    asked: list[str] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)

    def of_source(self, vm: VM) -> SourceFacts:
        self.asked.append(vm.host.name)
        rooms = {"/srv/images": FolderRoom(True, 1, 1 << 40, "/srv/images", False)}
        said = facts(portable_xml="<domain/>", inactive_xml="<domain/>")
        return SourceFacts(WEB, ON, said, rooms)

    def of_targets(
        self, vm: VM, source: SourceFacts, hosts: list[Host], word: Word
    ) -> list[MoveTarget]:
        self.words.append(word)
        return [self.target for host in hosts if host.name == "beta"]

    @contextlib.contextmanager
    def opened(self, source: Endpoint, destination: Endpoint, token: str) -> Iterator[Ends]:
        yield Ends(_end(source, self.alpha), _end(destination, self.beta), token)


def _end(endpoint: Endpoint, fake: FakeEnd) -> End:
    return End(endpoint, fake, cast("Any", fake))


def make_stage(name: str = "web") -> Stage:
    now = timezone.now()
    hosts = [Host.objects.create(name=each, target=f"root@{each}") for each in ("alpha", "beta")]
    vm = VM.objects.create(
        uuid=UUID, name=name, host=hosts[0], state="running", first_seen_at=now, seen_at=now
    )
    return Stage(vm, FakeEnd("alpha", RUNNING, files={IMAGE: ""}), FakeEnd("beta"))
