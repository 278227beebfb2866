"""The scripts that work on hosts, at work on this machine."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.machine import PYTHON, Machine
from labpanel.adapters.mover import Mover
from labpanel.lib.shapes import PANEL


@pytest.fixture
def qemu(needs: Callable[..., None]) -> None:
    needs("qemu-nbd", "qemu-img")
    if subprocess.run([PYTHON, "-c", "import nbd"], capture_output=True, check=False).returncode:
        pytest.skip("not installed here: python3-libnbd")


@pytest.fixture
def images(qemu: None) -> Iterator[ImageHost]:
    with ImageHost(Machine(PANEL)) as host:
        yield host


@pytest.fixture
def mover(qemu: None) -> Iterator[Mover]:
    with Mover(Machine(PANEL)) as script:
        yield script
