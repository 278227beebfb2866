"""The child that talks to libvirt, over libvirt's own test driver: no daemon, no root."""

import inspect
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from hosts.models import VM
from labpanel.adapters.errors import Missing, Refused, TimedOut, Unreachable
from labpanel.adapters.libvirt import hypervisor
from labpanel.adapters.libvirt.child.__main__ import CALLS
from labpanel.adapters.libvirt.child_process import ChildProcess
from labpanel.adapters.libvirt.hypervisor import Hypervisor, Kept, OwnConnection, Pool
from labpanel.adapters.libvirt.uses import inventory
from labpanel.adapters.libvirt.uses.moving import Route
from labpanel.adapters.libvirt.xml.domain_xml import parse
from labpanel.lib.shapes import Endpoint, LibvirtSocket
from labpanel.lib.vm_state import STATES

TEST = Endpoint("practice", "local")
NOWHERE = Endpoint("nowhere", "local", libvirt_socket=LibvirtSocket.VIRTQEMUD)
pytestmark = pytest.mark.usefixtures("practice_libvirt")
# The domain that the test driver comes with (libvirt, src/test/test_driver.c).
TEST_UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
ODD = "'\"<b>$(reboot)</b> ../ 家のサーバー"


@pytest.fixture
def one() -> Iterator[OwnConnection]:
    opened = OwnConnection(TEST)
    yield opened
    opened.close()


@pytest.fixture
def kept() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


def pid_of(child: ChildProcess) -> int:
    assert child._process is not None
    return child._process.pid


def test_domains_come_with_state_and_both_xmls(one: OwnConnection) -> None:
    report = next(report for report in one.inventory().domains if report.uuid == TEST_UUID)
    assert report.state == "running"
    assert parse(report.xml).name == parse(report.inactive_xml).name == "test"


def test_state_names_are_the_models(one: OwnConnection) -> None:
    assert set(STATES) == set(VM.State.values)


def test_a_name_with_everything_in_it_comes_back_as_it_is(one: OwnConnection) -> None:
    from xml.sax.saxutils import escape

    xml = f"<domain type='test'><name>{escape(ODD.replace('/', '_'))}</name><memory>1024</memory>"
    defined = one.define(f"{xml}<os><type>hvm</type></os></domain>")
    assert defined.name == ODD.replace("/", "_")
    one.start(defined.uuid)
    assert one.state(defined.uuid).state == "running"
    one.destroy(defined.uuid)
    assert one.state(defined.uuid).state == "shut off"


def test_an_unknown_vm_is_an_answer_not_an_error(one: OwnConnection) -> None:
    assert one.state("00000000-0000-4000-8000-000000000000").known is False


def test_a_no_keeps_the_connection(one: OwnConnection) -> None:
    with pytest.raises(Missing):
        one.start("00000000-0000-4000-8000-000000000000")
    before = pid_of(one.child)
    with pytest.raises(Refused, match="practice"):
        one.start(TEST_UUID)  # it runs already
    one.inventory()
    assert pid_of(one.child) == before


def test_a_child_that_hangs_is_killed_and_the_next_call_has_a_new_one(
    one: OwnConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.inventory()
    stuck = pid_of(one.child)
    os.kill(stuck, signal.SIGSTOP)
    with monkeypatch.context() as hurried:
        hurried.setattr(inventory, "_INVENTORY_SECONDS", 0.2)
        with pytest.raises(TimedOut, match="gave no answer"):
            one.inventory()
    with pytest.raises(ProcessLookupError):
        os.kill(stuck, 0)
    assert one.inventory().domains


def test_a_child_that_died_is_replaced_within_the_same_question(kept: Pool) -> None:
    kept.of(TEST).inventory()
    first = pid_of(kept._kept[TEST].child)
    os.kill(first, signal.SIGKILL)
    assert kept.of(TEST).inventory().domains
    assert pid_of(kept._kept[TEST].child) != first


class Breaking(ChildProcess):
    """The answer of each call to libvirt is lost on the way: the call was done."""

    def __init__(self) -> None:
        super().__init__(TEST)
        self.done: list[str] = []

    def call(self, name: str, arguments: Mapping[str, object], *, deadline: float) -> object:
        self.done.append(name)
        super().call(name, arguments, deadline=deadline)
        raise Unreachable("The connection to libvirt on practice was lost.")


CHANGES: dict[str, Callable[[Hypervisor], object]] = {
    "define": lambda libvirt: libvirt.define("<domain/>"),
    "undefine": lambda libvirt: libvirt.undefine(TEST_UUID),
    "start": lambda libvirt: libvirt.start(TEST_UUID),
    "resume": lambda libvirt: libvirt.resume(TEST_UUID),
    "shutdown": lambda libvirt: libvirt.shutdown(TEST_UUID),
    "reboot": lambda libvirt: libvirt.reboot(TEST_UUID),
    "reset": lambda libvirt: libvirt.reset(TEST_UUID),
    "destroy": lambda libvirt: libvirt.destroy(TEST_UUID),
    "set_autostart": lambda libvirt: libvirt.set_autostart(TEST_UUID, on=True),
    "pull": lambda libvirt: libvirt.pull(TEST_UUID, "vda", bytes_per_second=0),
    "backup_begin": lambda libvirt: libvirt.backup_begin(TEST_UUID, [], freeze_seconds=0),
    "thaw": lambda libvirt: libvirt.thaw(TEST_UUID),
    "abort_backup": lambda libvirt: libvirt.abort_backup(TEST_UUID, "x"),
    "forget_checkpoints": lambda libvirt: libvirt.forget_checkpoints(TEST_UUID, [], []),
    "drop_checkpoint_records": lambda libvirt: libvirt.drop_checkpoint_records(TEST_UUID, "x"),
    "start_transient": lambda libvirt: libvirt.start_transient("<domain/>"),
    "end_transient": lambda libvirt: libvirt.end_transient(TEST_UUID),
    "abort_move": lambda libvirt: libvirt.abort_move(TEST_UUID),
    "agent_run": lambda libvirt: libvirt.agent_run(TEST_UUID, ["/bin/true"], seconds=1),
    "migrate": lambda libvirt: libvirt.migrate(
        TEST_UUID, Route("", "", ""), disks=["vda"], xml="", persistent_xml=""
    ),
}
QUESTIONS: dict[str, Callable[[Hypervisor], object]] = {
    "stats": lambda libvirt: libvirt.stats(),
    "versions": lambda libvirt: libvirt.versions(),
    "inventory": lambda libvirt: libvirt.inventory(),
    "disk_sizes": lambda libvirt: libvirt.disk_sizes(),
    "disk_errors": lambda libvirt: libvirt.disk_errors([TEST_UUID]),
    "state": lambda libvirt: libvirt.state(TEST_UUID),
    "uuid_of": lambda libvirt: libvirt.uuid_of("test"),
    "own_definition": lambda libvirt: libvirt.own_definition(TEST_UUID),
    "check_definition": lambda libvirt: libvirt.check_definition("<domain/>"),
    "stored": lambda libvirt: libvirt.stored(TEST_UUID),
    "backup_facts": lambda libvirt: libvirt.backup_facts(TEST_UUID),
    "block_info": lambda libvirt: libvirt.block_info(TEST_UUID, "vda"),
    "push_progress": lambda libvirt: libvirt.push_progress(TEST_UUID),
    "checkpoints": lambda libvirt: libvirt.checkpoints(TEST_UUID),
    "checkpoints_in_the_way": lambda libvirt: libvirt.checkpoints_in_the_way("x"),
    "prove_checkpoint": lambda libvirt: libvirt.prove_checkpoint(TEST_UUID, "x"),
    "borrowed": lambda libvirt: libvirt.borrowed(TEST_UUID),
    "agent_answers": lambda libvirt: libvirt.agent_answers(TEST_UUID, seconds=1),
    "agent_mounts": lambda libvirt: libvirt.agent_mounts(TEST_UUID, seconds=1),
    "agent_disks": lambda libvirt: libvirt.agent_disks(TEST_UUID, seconds=1),
    "qemu_owner": lambda libvirt: libvirt.qemu_owner(),
    "transient_state": lambda libvirt: libvirt.transient_state(TEST_UUID),
    "screenshot": lambda libvirt: libvirt.screenshot(TEST_UUID),
    "pool_folders": lambda libvirt: libvirt.pool_folders(),
    "target_facts": lambda libvirt: libvirt.target_facts(
        emulator="", arch="", machine="", cpu="", volumes=[]
    ),
    "move_facts": lambda libvirt: libvirt.move_facts(TEST_UUID),
    "virtual_sizes": lambda libvirt: libvirt.virtual_sizes(TEST_UUID, []),
    "job_stats": lambda libvirt: libvirt.job_stats(TEST_UUID),
}


def test_each_call_of_libvirt_is_a_question_or_a_change() -> None:
    methods = {name for name in dir(Hypervisor) if not name.startswith("_")}
    assert methods == {*CHANGES, *QUESTIONS}
    asked = {"agent_mounts", "agent_disks"}
    assert {*methods - asked, "agent_ask", "backup_xml"} == set(CALLS)


class Heard:
    """A transport that says nothing: what was sent is what counts."""

    host = "practice"

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, object]]] = []

    def send(
        self, name: str, arguments: dict[str, object], *, seconds: float, may_repeat: bool
    ) -> object:
        self.sent.append((name, arguments))
        raise Unreachable("Nothing answers.")


@pytest.mark.parametrize(
    "ask", [*CHANGES.values(), *QUESTIONS.values()], ids=[*CHANGES, *QUESTIONS]
)
def test_the_child_takes_what_a_method_sends(ask: Callable[[Hypervisor], object]) -> None:
    heard = Heard()
    with pytest.raises(Unreachable):
        ask(Hypervisor(heard))
    ((name, arguments),) = heard.sent
    inspect.signature(CALLS[name]).bind(None, **arguments)
    json.dumps(arguments)


class Lost(ChildProcess):
    """A connection that breaks under every call."""

    def __init__(self) -> None:
        super().__init__(TEST)
        self.sent: list[str] = []

    def call(self, name: str, arguments: Mapping[str, object], *, deadline: float) -> object:
        self.sent.append(name)
        raise Unreachable("The connection to libvirt on practice was lost.")


@pytest.mark.parametrize(
    ("ask", "times"),
    [
        *((pytest.param(ask, 1, id=name)) for name, ask in CHANGES.items()),
        *((pytest.param(ask, 2, id=name)) for name, ask in QUESTIONS.items()),
    ],
)
def test_only_a_question_is_repeated_when_the_kept_connection_broke(
    kept: Pool, ask: Callable[[Hypervisor], object], times: int
) -> None:
    lost = Lost()
    kept._kept[TEST] = Kept(lost, worked=True)
    with pytest.raises(Unreachable):
        ask(kept.of(TEST))
    assert len(lost.sent) == times


def test_a_change_whose_answer_was_lost_is_done_once(kept: Pool) -> None:
    """On a real libvirt: repeated, it would be refused, since the VM is off by then."""
    breaking = Breaking()
    kept._kept[TEST] = Kept(breaking, worked=True)
    with pytest.raises(Unreachable):
        kept.of(TEST).destroy(TEST_UUID)
    assert breaking.done == ["destroy"]


def test_a_libvirt_that_is_not_there_is_told_each_time(kept: Pool) -> None:
    for _ in range(2):
        with pytest.raises(Unreachable, match="libvirt on nowhere cannot be opened"):
            kept.of(NOWHERE).inventory()


def test_a_child_that_nobody_asks_any_more_is_ended(
    kept: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.of(TEST).versions()
    child = pid_of(kept._kept[TEST].child)
    monkeypatch.setattr(hypervisor, "IDLE_SECONDS", -1)
    with pytest.raises(Unreachable):
        kept.of(NOWHERE).versions()
    assert TEST not in kept._kept
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_the_child_ends_with_its_parent(one: OwnConnection) -> None:
    """Its standard input is all that ties it: a parent that was killed closes that."""
    one.versions()
    process = one.child._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=10) == 0


def test_a_child_stays_small(one: OwnConnection) -> None:
    one.versions()
    one.close()  # the first one may have compiled libvirt.py
    one.versions()
    status = Path(f"/proc/{pid_of(one.child)}/status").read_text(encoding="ascii")
    own = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    assert int(own.split()[1]) < 20 * 1024


def test_the_child_imports_neither_django_nor_celery() -> None:
    program = (
        "import sys, labpanel.adapters.libvirt.child.__main__; "
        "print([name for name in ('django', 'celery', 'redis') if name in sys.modules])"
    )
    words = [os.sys.executable, "-c", program]  # type: ignore[attr-defined]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "[]\n"
