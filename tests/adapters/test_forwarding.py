"""Hosts whose sshd forbids forwarding: real sshd, whose words about it differ from all others'."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from labpanel.adapters.errors import AdapterError, ForwardingForbidden
from labpanel.adapters.libvirt.hypervisor import OwnConnection
from labpanel.adapters.ssh.machine import Machine
from tests.adapters import sshd

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="sshd changes to the user it lets in")
GIVEN = Path(__file__).parents[2].parent / "shared/cases/hosts/sshd_config-no-forwarding"
FORBIDS = {
    "given": "AllowStreamLocalForwarding no\nAllowTcpForwarding no",
    "only streams": "AllowStreamLocalForwarding no",
    "all": "DisableForwarding yes",
    "to its sockets": "AllowStreamLocalForwarding remote",
    "for this user": "Match User root\nAllowStreamLocalForwarding no",
}


def test_the_given_file_is_among_them() -> None:
    if not GIVEN.exists():
        pytest.skip("it is not here")
    assert GIVEN.read_text().strip() == FORBIDS["given"]


@pytest.mark.parametrize("lines", FORBIDS.values(), ids=FORBIDS)
def test_it_is_named_with_the_remedy(tmp_path: Path, lines: str) -> None:
    with sshd.running(tmp_path, "echo hello", lines) as alpha:
        for _ in range(2):
            with pytest.raises(ForwardingForbidden) as forbids:
                OwnConnection(alpha).inventory()
            assert forbids.value.sentence.startswith(
                "sshd on alpha forbids forwarding (AllowStreamLocalForwarding), so "
            )
            assert "Set `AllowStreamLocalForwarding yes`" in forbids.value.sentence
        assert Machine(alpha).run(["echo", "on"], deadline=20).text == "on\n"


def test_a_key_that_may_not_forward(tmp_path: Path) -> None:
    with sshd.running(tmp_path) as alpha:
        listed = tmp_path / "authorized_keys"
        listed.write_text(f"no-port-forwarding {listed.read_text()}")
        with pytest.raises(ForwardingForbidden):
            Machine(alpha).forward_to(tmp_path / "near", "/run/any")


def test_sockets_from_here_are_told_too(tmp_path: Path) -> None:
    with (
        sshd.running(tmp_path, "", "AllowStreamLocalForwarding no") as alpha,
        pytest.raises(ForwardingForbidden),
    ):
        Machine(alpha).forward_from(str(tmp_path / "far"), tmp_path / "near")


def test_once_it_is_allowed_the_next_look_goes_through(tmp_path: Path) -> None:
    with sshd.running(tmp_path, "", "AllowStreamLocalForwarding no") as alpha:
        with pytest.raises(ForwardingForbidden):
            Machine(alpha).forward_to(tmp_path / "near", str(tmp_path / "far"))
        config = tmp_path / "config"
        config.write_text(config.read_text().replace("Forwarding no", "Forwarding yes"))
        os.kill(int((tmp_path / "pid").read_text()), 1)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "far"))
            listening.listen(1)
            threading.Thread(
                target=lambda: listening.accept()[0].sendall(b"well"), daemon=True
            ).start()
            eventually_forwards(Machine(alpha), tmp_path)
            with socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(tmp_path / "near"))
                assert asking.recv(4) == b"well"


def eventually_forwards(machine: Machine, folder: Path) -> None:
    for _ in range(20):
        try:
            return machine.forward_to(folder / "near", str(folder / "far"))
        except AdapterError:
            sshd.wait_for(int(machine.endpoint.target.rpartition(":")[2]))
    raise AssertionError("still forbidden")


def test_one_that_forwards_leaves_nothing_behind(tmp_path: Path) -> None:
    def left() -> set[Path]:
        return {
            *Path("/run").glob(".labpanel-forward-*"),
            *Path("/tmp").glob(".labpanel-forward-*"),
        }

    before = left()
    with sshd.running(tmp_path) as alpha:
        machine = Machine(alpha)
        machine.forward_to(tmp_path / "near", str(tmp_path / "far"))
        assert not list(machine.channel.control_path.parent.glob("t-*"))
    until = time.monotonic() + 20  # the far end cleans up after the connection ended
    fresh = left() - before
    while fresh and time.monotonic() < until:
        time.sleep(0.1)
        fresh &= left()
    assert not fresh
