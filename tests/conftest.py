"""What every test stands on: no broker, no network outside this machine, a signed-in client."""

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from labpanel.celery import app

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL = ("127.", "10.77.", "::1", "localhost")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of the practice lab first: they take longest, and the rest fills the gaps behind."""
    items.sort(key=lambda item: item.get_closest_marker("lab") is None)


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
    monkeypatch.setattr("labpanel.adapters.bus.publish", told.append)
    return told


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
