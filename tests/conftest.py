"""What every test stands on: no broker, no network outside this machine, a signed-in client."""

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from xdist.scheduler import LoadScopeScheduling

from labpanel.adapters.libvirt.child_process import ChildProcess
from labpanel.celery import app
from labpanel.lib.shapes import LibvirtSocket
from tests.lab.groups import group_of, turn_of

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL = ("127.", "10.77.", "::1", "localhost")
# Which tier the tests of a folder are in. A folder that is not here is refused.
TIERS = {
    "adapters": "qemu",
    "browser": "qemu",
    "door": "quick",
    "lab": "lab",
    "outside": "qemu",
    "pages": "quick",
    "panel_copies": "qemu",
    "rules": "quick",
    "services": "quick",
    "supervise": "qemu",
    "wording": "quick",
}
SLOW = {"tests/lab/test_four_weeks.py"}
ORDER = ("slow", "lab", "qemu", "quick")


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Whole files side by side, as --dist loadfile has it; files of a group in one process."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(Path(nodeid.partition("::")[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup | None:
    """(xdist's own groups, --dist loadgroup, are without effect in this version of pytest.)"""
    return ByGroup(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark each test with its tier, before -m asks for it."""
    item.add_marker(_tier(item))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take longest begin first, and the rest fills the gaps behind them."""
    items.sort(key=_turn)


def _tier(item: pytest.Item) -> str:
    path = item.path.relative_to(REPOSITORY)
    if path.as_posix() in SLOW:
        return "slow"
    if path.parts[1] not in TIERS:
        raise pytest.UsageError(f"{path.parent} has no tier: name it in tests/conftest.py.")
    return TIERS[path.parts[1]]


def _group(path: Path) -> str:
    """A group of the lab's files, else the file itself; `path` is relative."""
    return group_of(path) if path.parts[1] == "lab" else path.as_posix()


def _turn(item: pytest.Item) -> tuple[int, tuple[int, str]]:
    """Outside the lab, tests of one tier stay as pytest-django sorted them.

    The browser's come last: Playwright's event loop runs in the process until its end, and Django
    refuses its database beside one (django.utils.asyncio.async_unsafe).
    """
    tier = _tier(item)
    if item.path.parent.name == "browser":
        return len(ORDER), (0, "")
    if tier != "lab":
        return ORDER.index(tier), (0, "")
    return ORDER.index(tier), turn_of(_group(item.path.relative_to(REPOSITORY)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("sqlite") and connection.vendor != "sqlite":
        pytest.skip("of SQLite alone")


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    """Messages are written down instead of sent: (task, arguments)."""
    sent: list[tuple[str, list[Any]]] = []

    def send_task(name: str, args: list[Any] | None = None, **_: Any) -> None:
        sent.append((name, args or []))

    monkeypatch.setattr(app, "send_task", send_task)
    return sent


@pytest.fixture(autouse=True)
def topics(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Topics that were published, in order."""
    told: list[str] = []
    monkeypatch.setattr("labpanel.adapters.redis.bus.publish", told.append)
    return told


@pytest.fixture
def practice_libvirt(monkeypatch: pytest.MonkeyPatch) -> None:
    """libvirt's own test driver instead of a daemon; at the other socket there is none. The
    product itself has no way to name a URI."""

    def uri(self: ChildProcess) -> str:
        if self.endpoint.libvirt_socket is LibvirtSocket.LIBVIRTD:
            return "test:///default"
        return "qemu+unix:///system?socket=/nowhere/libvirt-sock"

    monkeypatch.setattr(ChildProcess, "uri", uri)


@pytest.fixture(autouse=True, scope="session")
def only_this_machine() -> Iterator[None]:
    """A test that reaches for another machine fails with a word that says so."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            assert str(address[0]).startswith(LOCAL), f"a test reached for {address}"
        real(self, address)

    patched = pytest.MonkeyPatch()
    patched.setattr(socket.socket, "connect", connect)
    yield
    patched.undo()


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_superuser("olga", password="correct horse battery")


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def needs() -> Callable[..., None]:
    """Skip, with a clear word, where a program is not installed."""

    def check(*programs: str) -> None:
        gone = [program for program in programs if shutil.which(program) is None]
        if gone:
            pytest.skip(f"not installed here: {', '.join(gone)}")

    return check
