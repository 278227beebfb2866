"""The child that talks to libvirt, over libvirt's own test driver: no daemon, no root."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts.models import VM
from labpanel.adapters import hypervisor
from labpanel.adapters.domain_xml import STATES, parse
from labpanel.adapters.errors import Missing, Refused, TimedOut, Unreachable
from labpanel.adapters.hypervisor import Hypervisor, Pool
from labpanel.lib.shapes import Endpoint

TEST = Endpoint("practice", "local", libvirt_socket="test:///default")
NOWHERE = Endpoint("nowhere", "local", libvirt_socket="/nowhere/libvirt-sock")
# The domain that the test driver comes with (libvirt, src/test/test_driver.c).
TEST_UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
ODD = "'\"<b>$(reboot)</b> ../ 家のサーバー"


@pytest.fixture
def one() -> Iterator[Hypervisor]:
    opened = Hypervisor(TEST)
    yield opened
    opened.close()


@pytest.fixture
def kept() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


def pid_of(connection: Hypervisor) -> int:
    assert connection._process is not None
    return connection._process.pid


def test_domains_come_with_state_and_both_xmls(one: Hypervisor) -> None:
    found = one.call("inventory", deadline=10)
    report = next(report for report in found if report["uuid"] == TEST_UUID)
    assert STATES[report["state"]] == "running"
    assert parse(report["xml"]).name == parse(report["inactive_xml"]).name == "test"


def test_state_names_are_the_models(one: Hypervisor) -> None:
    assert set(STATES) == set(VM.State.values)


def test_a_name_with_everything_in_it_comes_back_as_it_is(one: Hypervisor) -> None:
    from xml.sax.saxutils import escape

    xml = f"<domain type='test'><name>{escape(ODD.replace('/', '_'))}</name><memory>1024</memory>"
    defined = one.call("define", deadline=10, xml=f"{xml}<os><type>hvm</type></os></domain>")
    assert defined["name"] == ODD.replace("/", "_")
    one.call("start", deadline=10, uuid=defined["uuid"])
    assert STATES[one.call("state", deadline=10, uuid=defined["uuid"])["state"]] == "running"
    one.call("destroy", deadline=10, uuid=defined["uuid"])
    assert STATES[one.call("state", deadline=10, uuid=defined["uuid"])["state"]] == "shut off"


def test_an_unknown_vm_is_an_answer_not_an_error(one: Hypervisor) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert one.call("state", deadline=10, uuid=unknown)["known"] is False


def test_a_no_keeps_the_connection(one: Hypervisor) -> None:
    with pytest.raises(Missing):
        one.call("start", deadline=10, uuid="00000000-0000-4000-8000-000000000000")
    before = pid_of(one)
    with pytest.raises(Refused, match="practice"):
        one.call("start", deadline=10, uuid=TEST_UUID)  # it runs already
    one.call("inventory", deadline=10)
    assert pid_of(one) == before


def test_a_child_that_hangs_is_killed_and_the_next_call_has_a_new_one(one: Hypervisor) -> None:
    one.call("inventory", deadline=10)
    stuck = pid_of(one)
    os.kill(stuck, signal.SIGSTOP)
    with pytest.raises(TimedOut, match="gave no answer"):
        one.call("inventory", deadline=0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(stuck, 0)
    assert one.call("inventory", deadline=10)


def test_a_child_that_died_is_replaced_within_the_same_question(kept: Pool) -> None:
    kept.call(TEST, "inventory", deadline=10)
    first = pid_of(kept._kept[TEST].hypervisor)
    os.kill(first, signal.SIGKILL)
    assert kept.call(TEST, "inventory", deadline=10)
    assert pid_of(kept._kept[TEST].hypervisor) != first


def test_a_libvirt_that_is_not_there_is_told_each_time(kept: Pool) -> None:
    for _ in range(2):
        with pytest.raises(Unreachable, match="libvirt on nowhere cannot be opened"):
            kept.call(NOWHERE, "inventory", deadline=10)


def test_a_child_that_nobody_asks_any_more_is_ended(
    kept: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.call(TEST, "versions", deadline=10)
    child = pid_of(kept._kept[TEST].hypervisor)
    monkeypatch.setattr(hypervisor, "IDLE_SECONDS", -1)
    with pytest.raises(Unreachable):
        kept.call(NOWHERE, "versions", deadline=10)
    assert TEST not in kept._kept
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_the_child_ends_with_its_parent(one: Hypervisor) -> None:
    """Its standard input is all that ties it: a parent that was killed closes that."""
    one.call("versions", deadline=10)
    process = one._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=10) == 0


def test_a_child_stays_small(one: Hypervisor) -> None:
    one.call("versions", deadline=10)
    one.close()  # the first one may have compiled libvirt.py
    one.call("versions", deadline=10)
    status = Path(f"/proc/{pid_of(one)}/status").read_text(encoding="ascii")
    own = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    assert int(own.split()[1]) < 20 * 1024


def test_the_child_imports_neither_django_nor_celery() -> None:
    program = (
        "import sys, labpanel.adapters.libvirt_child.__main__; "
        "print([name for name in ('django', 'celery', 'redis') if name in sys.modules])"
    )
    words = [os.sys.executable, "-c", program]  # type: ignore[attr-defined]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "[]\n"
