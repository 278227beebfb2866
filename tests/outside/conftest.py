"""What the tests of hostile words share: a lab that is soiled, machines that answer with filth."""

import io
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from pytest_django import Settings

from labpanel.adapters.errors import Unreachable
from labpanel.adapters.ssh import host_key
from labpanel.adapters.ssh.machine import Machine, Output
from labpanel.lib.log_line import LogLine
from tests.outside.soil import soil
from tests.outside.words import ALL, raw
from tests.pages import conftest as pages
from tests.pages.lab import Lab, add_history, make_lab

plain_static, lab = pages.plain_static, pages.lab


@pytest.fixture
def soiled(db: None) -> Lab:
    lab = make_lab()
    add_history(lab)
    soil()
    return lab


@pytest.fixture(autouse=True)
def hostile_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every machine, this one included, answers any command with status 1 and hostile words."""

    def run(self: Machine, words: Sequence[str], **_: object) -> NoReturn:
        raise self._failed(words, Output(1, b"", ALL.encode()))

    def connect(self: Machine, *_: object, **__: object) -> NoReturn:
        raise Unreachable(f"{self.endpoint.name} said: {ALL}", ALL)

    def fetch(name: str, target: str) -> NoReturn:
        raise Unreachable(f"{name} at {target} said: {ALL}", ALL)

    monkeypatch.setattr(Machine, "run", run)
    monkeypatch.setattr(Machine, "start", connect)
    monkeypatch.setattr(Machine, "ensure_master", connect)
    monkeypatch.setattr(host_key, "fetch", fetch)
    monkeypatch.setattr("labpanel.adapters.ssh.openssh.key_file", lambda: tmp_path / "id_ed25519")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))


@pytest.fixture(autouse=True)
def clean_log() -> Iterator[None]:
    """All that is logged meanwhile, as the panel's own handlers write it, holds nothing raw."""
    written = io.StringIO()
    root = logging.getLogger()
    formatters = [each.formatter for each in root.handlers]
    handler = logging.StreamHandler(written)
    handler.setFormatter(next(one for one in formatters if isinstance(one, LogLine)))
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.INFO)
    yield
    root.removeHandler(handler)
    root.setLevel(level)
    assert raw(written.getvalue(), "\n") == []
    for line in written.getvalue().splitlines():
        assert line.startswith(("20", "  | ")), line
        assert len(line) <= 5000


@pytest.fixture(autouse=True)
def quick_hashing(settings: Settings) -> None:
    """What is looked at here is not how slow guessing is."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
