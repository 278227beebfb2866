"""A practice lab and a panel on it for every group of files (groups.py).

The files of a group leave both as they found them.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.state import Lab
from tests.lab.groups import group_of
from tests.lab.panels import REPOSITORY, TEMPO, UP_SECONDS, Panel, close_operators, environment
from tests.lab.shared import Shared


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and the pages' files, made once. Each panel of this process begins with a copy, which
    its start leaves as it is: no panel has its keys or its name yet."""
    home: Path = tmp_path_factory.mktemp("empty", numbered=True)
    for words in (("migrate", "-v", "0"), ("collectstatic", "--noinput", "-v", "0")):
        subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=REPOSITORY,
            env=environment(home),
            stdin=subprocess.DEVNULL,
            timeout=UP_SECONDS,
            check=True,
        )
    (home / "secret.key").unlink()
    return home


@pytest.fixture(scope="session")
def shared(empty_home: Path) -> Iterator[Shared]:
    def fill(home: Path) -> None:
        shutil.copytree(empty_home, home, dirs_exist_ok=True)

    found = Shared(fill)
    yield found
    found.close()


@pytest.fixture(scope="module", autouse=True)
def end_of_group(request: pytest.FixtureRequest, shared: Shared) -> Iterator[None]:
    """What the files of a group share goes with the last of them."""
    yield
    paths = [item.path for item in request.session.items if item.path.parent == request.path.parent]
    group = group_of(request.path)
    if request.path == [path for path in paths if group_of(path) == group][-1]:
        shared.close()
        close_operators()


@pytest.fixture(scope="module")
def lab(shared: Shared) -> Lab:
    """Two real libvirt hosts with their guests; skipped where the machine cannot."""
    return shared.lab()


@pytest.fixture(scope="module")
def tempo() -> str:
    """The pauses of the file's panel; a file with a promise to keep has a fixture of its own."""
    return TEMPO


@pytest.fixture(scope="module")
def panel(shared: Shared, tempo: str) -> Panel:
    """A panel with both hosts added and their guests seen."""
    return shared.panel(tempo)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Ask again until the answer is true; the assertion names what never became so."""

    def wait(ask: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = ask()
            if found:
                return found
            time.sleep(1)
        raise AssertionError(f"within {seconds:.0f} s it never came true that {what}")

    return wait
