"""The same words on a real libvirt with a real QEMU and on the fakes of the services' tests.

What libvirt's test driver can do is held likewise in tests/adapters/test_libvirt_contract.py; this
is what needs a QEMU: backups, checkpoints, transient domains, the guest's agent, moves.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import pytest

from lab.state import Lab
from lab.virsh import virsh
from labpanel.adapters.errors import Refused
from labpanel.adapters.libvirt.hypervisor import OwnConnection, opened
from labpanel.adapters.libvirt.uses.backups import Way
from labpanel.adapters.libvirt.uses.borrowing import Borrowed
from labpanel.adapters.libvirt.uses.definitions import Defined
from labpanel.adapters.libvirt.uses.jobs import BacksUp, Moves, Rehearses, Restores, Tends
from labpanel.adapters.libvirt.xml import backup_xml
from labpanel.adapters.ssh import host_key
from labpanel.adapters.ssh.openssh import public_key
from labpanel.lib.shapes import Endpoint
from labpanel.lib.vm_state import PAUSED, RUNNING, SHUT_OFF, Reason
from tests.fakes.backing_up import Scene
from tests.fakes.moving import RUNNING as RUNNING_NUMBER
from tests.fakes.moving import FakeEnd
from tests.fakes.rehearsing import Ground
from tests.fakes.tending import Tended

Use_co = TypeVar("Use_co", covariant=True)
UNKNOWN = "00000000-0000-4000-8000-000000000000"
NEW = "77777777-0000-4000-8000-000000000001"
RECORD = "labpanel-contract-1"
PLAIN = f"""<domain type='qemu'><name>contract</name><uuid>{NEW}</uuid>
<memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><video><model type='vga' vram='16384'/></video>
<graphics type='vnc'><listen type='socket'/></graphics></devices></domain>"""


@dataclass(frozen=True)
class Subject(Generic[Use_co]):
    """A libvirt, and a domain on it that runs."""

    libvirt: Use_co
    uuid: str
    name: str


@pytest.fixture(scope="module")
def real(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject[OwnConnection]]:
    """alpha's libvirt, over SSH as the panel reaches it, and its guest web."""
    key = tmp_path_factory.mktemp("key") / "authorize.pub"
    key.write_text(public_key())
    lab.authorize(key)
    target = f"root@{lab.hosts['alpha'].address}"
    endpoint = Endpoint("alpha", target, host_key.fetch("alpha", target).line)
    uuid = virsh(lab.layout.host("alpha"), "domuuid", "--domain", "web").strip()
    with opened(endpoint) as connection:
        yield Subject(connection, uuid, "web")


BOTH = pytest.mark.parametrize("kind", ["real", "fake"])


@pytest.fixture
def scene() -> Scene:
    return Scene("11111111-2222-4333-8444-555555555555")


@pytest.fixture
def backup(kind: str, scene: Scene, request: pytest.FixtureRequest) -> Subject[BacksUp]:
    if kind == "fake":
        return Subject(scene.libvirt(), scene.uuid, "home")
    found: Subject[OwnConnection] = request.getfixturevalue("real")
    return found


@pytest.fixture
def restore(kind: str, scene: Scene, request: pytest.FixtureRequest) -> Subject[Restores]:
    scene.active = False
    if kind == "fake":
        return Subject(scene.libvirt(), scene.uuid, "home")
    found: Subject[OwnConnection] = request.getfixturevalue("real")
    return found


@pytest.fixture
def rehearsal(kind: str, request: pytest.FixtureRequest) -> Subject[Rehearses]:
    if kind == "fake":
        ground = Ground("")
        ground.live_answers, ground.inside["live facts"] = True, "done\n"
        return Subject(ground.libvirt(), UNKNOWN, "home")
    found: Subject[OwnConnection] = request.getfixturevalue("real")
    return found


@pytest.fixture
def move(kind: str, request: pytest.FixtureRequest) -> Subject[Moves]:
    if kind == "fake":
        return Subject(FakeEnd("alpha", RUNNING_NUMBER), UNKNOWN, "web")
    found: Subject[OwnConnection] = request.getfixturevalue("real")
    return found


@pytest.fixture
def tending(kind: str, scene: Scene, request: pytest.FixtureRequest) -> Subject[Tends]:
    if kind == "fake":
        scene.saved["facts"] = Borrowed(True, RUNNING, Reason.BOOTED, "<domain/>")
        return Subject(Tended(scene), scene.uuid, "home")
    found: Subject[OwnConnection] = request.getfixturevalue("real")
    return found


def pull(run: int | None, name: str, since: str = "") -> tuple[str, str]:
    """The description of a pull backup of vda, and its socket."""
    socket = f"/var/lib/libvirt/qemu/domain-{run}-{name}/contract"
    files = {"vda": "/srv/images/.contract-vda.scratch"}
    known = {"vda": since} if since else None
    return backup_xml.pull_description(socket, files, known), socket


@contextlib.contextmanager
def open_backup(
    subject: Subject[BacksUp], ways: list[Way], mark: str
) -> Iterator[tuple[int, tuple[str, ...]]]:
    libvirt = subject.libvirt
    begun = libvirt.backup_begin(subject.uuid, ways, freeze_seconds=0)
    try:
        yield begun.way, begun.refused
    finally:
        ended = libvirt.abort_backup(subject.uuid, mark)
    assert ended


@BOTH
def test_a_backup_begins_and_ends_once(backup: Subject[BacksUp]) -> None:
    libvirt, uuid = backup.libvirt, backup.uuid
    facts = libvirt.backup_facts(uuid)
    assert (facts.name, facts.state, facts.active, facts.busy) == (
        backup.name,
        RUNNING,
        True,
        False,
    )
    assert facts.run == libvirt.state(uuid).run is not None
    assert next(iter(backup_xml.source_disks(facts.xml))).target == "vda"
    assert libvirt.block_info(uuid, "vda").capacity > 0
    description, socket = pull(facts.run, facts.name)
    with open_backup(backup, [Way(description)], socket) as (way, refused):
        assert (way, refused) == (0, ())
    assert libvirt.abort_backup(uuid, socket) is False
    assert libvirt.thaw(uuid) is True


@BOTH
def test_a_record_that_is_not_there_is_refused_and_the_next_way_is_taken(
    backup: Subject[BacksUp], scene: Scene
) -> None:
    scene.refuses = "incremental="
    run = backup.libvirt.backup_facts(backup.uuid).run
    since, socket = pull(run, backup.name, "labpanel-contract-gone")
    full, _ = pull(run, backup.name)
    with open_backup(backup, [Way(since), Way(full)], socket) as (way, refused):
        assert way == 1
        assert len(refused) == 1


@BOTH
def test_a_checkpoint_is_begun_proven_and_forgotten(backup: Subject[BacksUp]) -> None:
    libvirt, uuid = backup.libvirt, backup.uuid
    description, socket = pull(libvirt.backup_facts(uuid).run, backup.name)
    record = backup_xml.checkpoint_description(RECORD, ["vda"])
    with open_backup(backup, [Way(description, record, RECORD)], socket):
        assert RECORD in libvirt.checkpoints(uuid)
    assert libvirt.prove_checkpoint(uuid, RECORD) == ""
    assert libvirt.prove_checkpoint(uuid, "labpanel-contract-gone") != ""
    assert libvirt.forget_checkpoints(uuid, [RECORD], ["vda"]) == (RECORD,)
    assert libvirt.forget_checkpoints(uuid, [RECORD], ["vda"]) == ()
    assert RECORD not in libvirt.checkpoints(uuid)


@BOTH
def test_a_definition_comes_and_goes(restore: Subject[Restores]) -> None:
    libvirt = restore.libvirt
    assert (libvirt.uuid_of("contract"), libvirt.stored(NEW)) == ("", None)
    assert not libvirt.state(NEW).known
    assert libvirt.check_definition(PLAIN) == ""
    assert libvirt.define(PLAIN) == Defined(NEW, "contract")
    assert libvirt.uuid_of("contract") == NEW
    now = libvirt.state(NEW)
    assert (now.known, now.state, now.active) == (True, SHUT_OFF, False)
    stored = libvirt.stored(NEW)
    assert stored is not None
    assert (stored.name, stored.active, stored.snapshots, stored.managed_save) == (
        "contract",
        False,
        0,
        False,
    )
    libvirt.undefine(NEW)
    assert not libvirt.state(NEW).known


@BOTH
def test_a_host_says_what_it_offers(restore: Subject[Restores]) -> None:
    libvirt = restore.libvirt
    assert all(folder.startswith("/") for folder in libvirt.pool_folders())
    gone = ("no-such-pool", "no-such-volume")
    offer = libvirt.target_facts(
        emulator="/usr/bin/qemu-system-x86_64", arch="x86_64", machine="pc", cpu="", volumes=[gone]
    )
    assert (offer.machine, offer.cpu, offer.missing_volumes) == ("", "", (gone,))
    assert min(offer.libvirt, offer.qemu) > 1_000_000


@BOTH
def test_a_transient_domain_lives_until_it_is_ended(rehearsal: Subject[Rehearses]) -> None:
    libvirt = rehearsal.libvirt
    owner = libvirt.qemu_owner()
    assert owner is None or min(owner) >= 0
    libvirt.start_transient(PLAIN)
    now = libvirt.transient_state(NEW)
    assert (now.mine, now.known, now.state) == (True, True, RUNNING)
    assert libvirt.screenshot(NEW)[:2] in {b"P6", b"\x89P"}
    assert libvirt.end_transient(NEW) is True
    assert libvirt.transient_state(NEW).known is False
    assert libvirt.end_transient(NEW) is False


@BOTH
def test_a_guest_s_agent_answers_and_runs_a_program(
    rehearsal: Subject[Rehearses], eventually: Callable[..., object]
) -> None:
    libvirt, uuid = rehearsal.libvirt, rehearsal.uuid
    eventually(lambda: libvirt.agent_answers(uuid, seconds=2), "the agent answers", 240)
    ran = libvirt.agent_run(uuid, ["/bin/sh", "-c", "echo done"], seconds=30)
    assert (ran.ended, ran.status, ran.out) == (True, 0, "done\n")


@BOTH
def test_a_vm_that_is_not_on_its_way(move: Subject[Moves]) -> None:
    libvirt, uuid = move.libvirt, move.uuid
    facts = libvirt.move_facts(uuid)
    assert (facts.name, facts.state, facts.active, facts.busy) == ("web", RUNNING, True, False)
    assert libvirt.job_stats(uuid) is None
    assert libvirt.abort_move(uuid) is False
    with pytest.raises(Refused):
        libvirt.resume(uuid)  # it is not paused
    now = libvirt.state(uuid)
    assert (now.known, now.active, now.paused, now.left) == (True, True, False, False)
    assert now.state != PAUSED


@BOTH
def test_a_vm_that_borrows_nothing(tending: Subject[Tends]) -> None:
    facts = tending.libvirt.borrowed(tending.uuid)
    assert facts is not None
    assert (facts.active, facts.state, facts.borrowed, dict(facts.jobs)) == (True, RUNNING, (), {})
    assert facts.xml


def test_what_only_a_real_one_is_asked(real: Subject[OwnConnection]) -> None:
    libvirt, uuid = real.libvirt, real.uuid
    assert libvirt.virtual_sizes(uuid, ["vda"])["vda"].capacity > 0
    assert libvirt.borrowed(UNKNOWN) is None
    assert libvirt.checkpoints_in_the_way("labpanel-") == {}
    assert "<name>web</name>" in libvirt.own_definition(uuid)
    assert libvirt.own_definition(UNKNOWN) == ""
    assert libvirt.disk_errors([uuid]) == {uuid: {}}
    assert libvirt.disk_sizes()[uuid]["vda"][0]
    assert libvirt.stats()[uuid]["block.0.name"] == "vda"
    mounts = libvirt.agent_mounts(uuid, seconds=30)
    assert "/" in {mount.point for mount in mounts}
    assert all(isinstance(disk.name, str) for disk in libvirt.agent_disks(uuid, seconds=30))


def test_this_file_leaves_nothing(real: Subject[OwnConnection], lab: Lab) -> None:
    assert real.libvirt.uuid_of("contract") == ""
    left = lab.ssh("alpha", ["ls", "-A", "/srv/images"]).stdout.split()
    assert not [name for name in left if Path(name).suffix == ".scratch"]
