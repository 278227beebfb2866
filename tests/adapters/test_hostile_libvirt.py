"""A libvirt, or a child of ours that reads it, that says more than anything is worth."""

import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.libvirt.child import agent_calls, read_calls
from labpanel.adapters.libvirt.child.__main__ import MOST_ANSWER, answer, line_of
from labpanel.adapters.libvirt.child.limits import GROWTH_BYTES
from labpanel.adapters.libvirt.child_process import ChildProcess
from labpanel.adapters.rehearsal import pictures
from labpanel.lib.shapes import PANEL

HOME = "11111111-0000-4000-8000-000000000001"
SAYS = """
import sys
print('{"id": 0, "ok": "open"}', flush=True)
sys.stdin.readline()
out = sys.stdout.buffer
"""
ENDLESS = {
    "line": "while True: out.write(b'A' * 65536)",
    "values": "out.write(b'{\"id\": 1, \"ok\": [' + b'[],' * 3_000_000 + b'0]}\\n'); out.flush()",
    "no object": "out.write(b'[1]\\n'); out.flush()",
    "half": "out.write(b'{\"id\": 1'); out.flush(); sys.exit()",
}
MEASURE = """
import resource, sys
import django; django.setup()
from labpanel.adapters.errors import AdapterError
from tests.adapters.test_hostile_libvirt import Child
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
child = Child(sys.argv[1])
try:
    child.call("inventory", {}, deadline=20)
except AdapterError as error:
    print(error.sentence)
child.close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


class Child(ChildProcess):
    """Another program answers than libvirt's child."""

    def __init__(self, conduct: str) -> None:
        super().__init__(PANEL)
        self._conduct = conduct

    def _child(self) -> list[str]:
        return [sys.executable, "-c", SAYS + self._conduct]


@pytest.mark.parametrize("conduct", ENDLESS.values(), ids=list(ENDLESS))
def test_a_child_that_says_too_much_is_one_sentence_and_little_memory(conduct: str) -> None:
    words = [sys.executable, "-c", MEASURE, conduct]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    sentence, grown = done.stdout.splitlines()
    assert "libvirt on the panel's machine" in sentence
    assert int(grown) < 64 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A socket where something answers in the place of libvirtd; the pieces that it sends."""
    path, pieces = tmp_path / "libvirt-sock", [b""]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller:
                try:
                    caller.recv(1 << 16)
                    for piece in pieces:
                        caller.sendall(piece)
                    while True:
                        caller.sendall(pieces[-1] or b"\0" * 65536)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path, pieces
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=10)


# A header of libvirt's RPC (virnetprotocol.x): length, program, version, procedure, type, serial,
# status.
LONGEST = struct.pack(">IIIIIII", 32 << 20, 0x20008086, 1, 66, 1, 0, 0)


@pytest.mark.parametrize("sent", [b"", b"A" * 65536, LONGEST, struct.pack(">I", 2**31) * 999])
def test_a_server_that_is_no_libvirt_is_one_sentence(
    server: tuple[Path, list[bytes]], sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pieces = server
    pieces[:] = [sent, b"\0" * 65536]
    monkeypatch.setattr(ChildProcess, "uri", lambda _: f"qemu+unix:///system?socket={path}")
    monkeypatch.setattr("labpanel.adapters.libvirt.child_process.OPEN_SECONDS", 3)
    one = ChildProcess(PANEL)
    try:
        with pytest.raises(AdapterError, match="libvirt on the panel's machine"):
            one.call("inventory", {}, deadline=3)
    finally:
        one.close()


def test_the_child_cannot_take_more_than_its_bound() -> None:
    program = """
import json
from labpanel.adapters.libvirt.child.limits import bound_memory
bound_memory()
fits = bytearray(%d)
del fits
try:
    bytearray(%d)
    print("taken")
except MemoryError:
    print("refused")
"""
    words = [sys.executable, "-c", program % (GROWTH_BYTES - (4 << 20), GROWTH_BYTES + (4 << 20))]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "refused\n"


class Domain:
    """What read_calls asks of one; `xml` is as long as its maker likes."""

    def __init__(self, number: int, xml: str) -> None:
        self._uuid = f"00000000-0000-4000-8000-{number:012}"
        self._xml = xml

    def state(self) -> list[int]:
        return [1, 1]

    def name(self) -> str:
        return "x"

    def ID(self) -> int:
        return 1

    def isPersistent(self) -> int:
        return 1

    def autostart(self) -> int:
        return 0

    def UUIDString(self) -> str:
        return self._uuid

    def XMLDesc(self, _: int) -> str:
        return self._xml


class Connection:
    """Answers with what it was given."""

    def __init__(self, domains: list[Domain], fields: dict[str, Any] | None = None) -> None:
        self._domains, self._fields = domains, fields or {}

    def domainEventRegisterAny(self, *_: object) -> int:
        raise libvirt.libvirtError("this function is not supported by the connection driver")

    def listAllDomains(self) -> list[Domain]:
        return self._domains

    def getAllDomainStats(self, *_: int) -> list[tuple[Domain, dict[str, Any]]]:
        return [(domain, self._fields) for domain in self._domains]


def test_one_long_xml_is_left_out_and_the_others_stay() -> None:
    domains = [Domain(1, "<a/>"), Domain(2, "A" * (read_calls.MOST_XML + 1)), Domain(3, "<a/>")]
    found = read_calls.inventory(Connection(domains))
    assert [one["xml"] for one in found] == ["<a/>", "", "<a/>"]


def test_many_long_ones_fit_into_one_answer() -> None:
    domains = [Domain(number, "A" * read_calls.MOST_XML) for number in range(2000)]
    found = read_calls.inventory(Connection(domains))
    assert len(found) == read_calls.MOST_DOMAINS
    assert len(json.dumps(found)) < MOST_ANSWER


def test_only_fields_that_are_sampled_are_sent() -> None:
    fields: dict[str, Any] = {f"evil.{number}": "A" * 1000 for number in range(5000)}
    fields |= {"cpu.time": 1, "block.count": 1, "block.0.name": "v" * 9999, "vcpu.99999.delay": 2}
    found = read_calls.stats(Connection([Domain(1, "")], fields))
    (only,) = found.values()
    assert only == {"cpu.time": 1, "block.count": 1, "block.0.name": "v" * 255, "id": 1}
    sizes = read_calls.disk_sizes(Connection([Domain(1, "")], {"block.count": 2**32 - 1}))
    assert list(sizes.values()) == [{}]


def test_an_answer_that_is_too_long_is_a_no() -> None:
    line = line_of({"id": 7}, {"id": 7, "ok": "A" * (MOST_ANSWER + 1)})
    assert json.loads(line)["error"]["message"] == "the answer is larger than 10 MiB"


@pytest.mark.parametrize(
    "said",
    [
        "[]",
        "null",
        '{"error": {}}',
        '{"return": ' + "[" * 5000,
        '{"return": [' + "[]," * 300_000 + "0]}",
        '{"return": {"pid": "x"}}',
        '{"return": {"pid": 1, "exited": true, "out-data": 5}}',
        '{"return": {"pid": 1, "exited": true, "out-data": "%%%"}}',
    ],
)
def test_an_odd_answer_of_a_guest_agent_is_a_no(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libvirt_qemu.qemuAgentCommand", lambda *_: said)

    class Lookup:
        def lookupByUUIDString(self, _: str) -> Domain:
            return Domain(1, "")

    request = {
        "id": 1,
        "call": "agent_run",
        "args": {"uuid": HOME, "words": ["/bin/sh"], "seconds": 1},
    }
    found = answer(Lookup(), request)
    assert "ok" in found or "guest agent's answer" in found["error"]["message"]
    assert agent_calls.CALLS
    assert libvirt.VIR_ERR_NO_DOMAIN == 42


def test_a_small_file_that_unfolds_to_a_huge_picture_is_none() -> None:
    header = b"P6 9000 9000 255\n" + b"\0" * 100
    with pytest.raises(ValueError, match="9000 × 9000 is not opened"):
        pictures.as_png(header)
