"""Images of a store lent to a VM's QEMU on another machine: scripts/attendant.py on both, and the
panel's two tunnels between them.

    qcow2 in the store → lender: qemu-nbd ═ ssh -L ═ panel ═ ssh -R ═ borrower: qemu-nbd → QEMU

The attendants outlive the panel and its connections. While the tunnel is cut the borrower lets
reads wait and connects again by itself (QEMU's `reconnect-delay`, which libvirt knows only from
9.1 on); whoever notices puts the tunnel back.
"""

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from labpanel.adapters.errors import AdapterError, CommandFailed, Refused
from labpanel.adapters.machine import PYTHON, Machine
from labpanel.adapters.nbd_relay import end_channel
from labpanel.adapters.script_session import SCRIPTS
from labpanel.lib.shapes import Endpoint

# Seconds. A read waits so long for a store that is away; the attendants stay so long without a
# panel, which gives them back when it comes again.
WAITS = 30 * 24 * 3600
PATIENCE = 7 * 24 * 3600
_BEGIN = 60
_PROBE = 15
_OPEN_TIMEOUT = 20
# sun_path holds 108 bytes with the closing zero (unix(7)).
_LONGEST = 107
_PLAIN = re.compile(r"[A-Za-z0-9._+-]+")
# An NBD server speaks first (NBD protocol, "Newstyle negotiation").
_GREETING = (
    "import socket,sys\n"
    "s=socket.socket(socket.AF_UNIX); s.settimeout(8); s.connect(sys.argv[1])\n"
    "sys.exit(0 if s.recv(8)==b'NBDMAGIC' else 1)\n"
)


@dataclass(frozen=True, slots=True)
class Loan:
    """What is lent: `images` by target, paths on the lender's machine; `lock` is the lock file of
    the VM's generations there; `token` names everything that is made for it."""

    token: str
    vm_name: str
    lock: str
    images: Mapping[str, str]

    @property
    def channel(self) -> str:
        return f"instant-{self.token}"

    @property
    def folder(self) -> str:
        """On the borrower's machine: below libvirt's, where AppArmor's profiles allow QEMU a
        socket with the right ending (virt-aa-helper)."""
        return f"/run/libvirt/labpanel-{self.token}"

    def socket(self, target: str) -> str:
        """Where QEMU finds the disk's content."""
        tail = f".tunnelmigrate.dest.{self.vm_name}"
        path = f"{self.folder}/{target}{tail}"
        fits = len(path) <= _LONGEST and _PLAIN.fullmatch(self.vm_name)
        return path if fits else f"{self.folder}/{target}"


class Line:
    """Both ends of a loan, over SSH connections of their own."""

    def __init__(self, loan: Loan, lender: Endpoint, borrower: Endpoint) -> None:
        self.loan = loan
        self._lender = Machine(lender, loan.channel)
        self._borrower = Machine(borrower, loan.channel)

    def open(self) -> None:
        """Make whatever is missing of the line; as often as one likes. Raises an AdapterError."""
        folder = self._lend()
        if not self._reaches_lender():
            self.close_tunnels()
            for target in self.loan.images:
                self._lead(f"{folder}/{target}", target)
        self._borrow(folder)

    def close(self) -> list[str]:
        """End everything; sentences on what is out of reach now."""
        left = []
        for machine, folder in (
            (self._borrower, self.loan.folder),
            (self._lender, self._lender_folder),
        ):
            try:
                _attendant(machine, "end", folder)
            except AdapterError as error:
                left.append(error.sentence)
        self.close_tunnels()
        return left

    def close_tunnels(self) -> None:
        for machine in (self._borrower, self._lender):
            with contextlib.suppress(AdapterError):  # it is gone, which is what was wanted
                end_channel(machine)

    @property
    def _lender_folder(self) -> str:
        return f"labpanel-lend-{self.loan.token}"

    def _lend(self) -> str:
        exports = [
            {
                "socket": target,
                "name": target,
                "node": {"driver": "qcow2", "file": {"driver": "file", "filename": path}},
                "vm": "",
            }
            for target, path in self.loan.images.items()
        ]
        wanted = {"lock": self.loan.lock, "patience": PATIENCE, "exports": exports}
        return str(_attendant(self._lender, "begin", self._lender_folder, wanted)["folder"])

    def _borrow(self, lender_folder: str) -> None:
        exports = [
            {
                "socket": Path(self.loan.socket(target)).name,
                "name": target,
                "node": _waiting(self._far(lender_folder, target), target),
                "vm": self.loan.vm_name,
            }
            for target in self.loan.images
        ]
        wanted = {"lock": "", "patience": PATIENCE, "exports": exports}
        _attendant(self._borrower, "begin", self.loan.folder, wanted)

    def _far(self, lender_folder: str, target: str) -> str:
        if self._same:
            return f"{lender_folder}/{target}"
        return f"{self.loan.folder}/{target}.far"

    @property
    def _same(self) -> bool:
        return self._lender.endpoint.target == self._borrower.endpoint.target

    def _reaches_lender(self) -> bool:
        if self._same:
            return True
        return all(answers(self._borrower, self._far("", target)) for target in self.loan.images)

    def _lead(self, socket: str, target: str) -> None:
        """Make the lender's socket reachable on the borrower's machine."""
        if self._same:
            return
        far = self._far("", target)
        self._borrower.run(["mkdir", "-p", "-m", "711", "--", self.loan.folder], deadline=_PROBE)
        near = Path(socket)
        if self._borrower.endpoint.is_local:
            self._lender.forward_to(Path(far), socket)
            return
        if not self._lender.endpoint.is_local:
            near = Path(settings.RUNTIME_DIR) / f"n-{self.loan.channel}-{target}"
            self._lender.forward_to(near, socket)
        self._borrower.forward_from(far, near)


def answers(machine: Machine, socket: str) -> bool:
    """Whether an NBD server greets at a socket of the machine."""
    words = [PYTHON, "-I", "-B", "-c", _GREETING, socket]
    return machine.run(words, deadline=_PROBE, ok=None).status == 0


def _waiting(socket: str, export: str) -> dict[str, Any]:
    """An NBD client that waits for its server instead of failing (qapi: BlockdevOptionsNbd)."""
    server = {"type": "unix", "path": socket}
    patient = {"reconnect-delay": WAITS, "open-timeout": _OPEN_TIMEOUT}
    file = {"driver": "nbd", "server": server, "export": export, "read-only": True, **patient}
    return {"driver": "raw", "read-only": True, "file": file}


def _attendant(
    machine: Machine, verb: str, folder: str, wanted: dict[str, Any] | None = None
) -> dict[str, Any]:
    arguments = [verb, folder, *([json.dumps(wanted)] if wanted is not None else [])]
    try:
        output = machine.run_script(SCRIPTS / "attendant.py", arguments, deadline=_BEGIN)
    except CommandFailed as error:
        said = error.detail.splitlines()[-1] if error.detail else error.sentence
        raise Refused(said, error.detail) from error
    answer: dict[str, Any] = json.loads(output.text)
    return answer
