"""The programs for hosts, run on this machine."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Mover
from labpanel.adapters.ssh.machine import PYTHON, Machine
from labpanel.adapters.store.prover import Prover
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
def prover(qemu: None) -> Iterator[Prover]:
    with Prover(Machine(PANEL), "") as script:
        yield script


@pytest.fixture
def mover(qemu: None) -> Iterator[Mover]:
    with Mover(Machine(PANEL)) as script:
        yield script
