"""Images of a store lent to a VM's QEMU on another machine: onhost/store/lender.py and
persistent_exports.py, and the panel's two tunnels between them.

    stored images → lender: qemu-nbd → checked ═ ssh -L ═ panel ═ ssh -R ═ borrower: qemu-nbd → QEMU

What the lender hands out was held against the generation's digests first. Both ends outlive the
panel and its connections. While the tunnel is cut the borrower lets reads wait and connects again
(QEMU's `reconnect-delay`, which libvirt knows only from 9.1 on); the panel's next turn puts the
tunnel back.
"""

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from labpanel.adapters.answers import safe_json
from labpanel.adapters.errors import AdapterError, CommandFailed, Missing, Refused
from labpanel.adapters.ssh.machine import PYTHON, Machine
from labpanel.adapters.ssh.nbd_relay import end_channel
from labpanel.adapters.ssh.session import run_bundle
from labpanel.lib.shapes import Endpoint

# Seconds. A read waits so long for a store that is away; the attendants stay so long without a
# panel, which gives them back when it comes again.
WAITS = 30 * 24 * 3600
PATIENCE = 7 * 24 * 3600
_BEGIN = 60
_LENDER = "store.lender"
_BORROWER = "store.persistent_exports"
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


_TARGET = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class BackingImage:
    """One disk that is lent. `path` is its image in the store, `known` the parents of the
    generations in its chain, `root` the digest over its list of digests."""

    path: str
    known: Mapping[str, str | None]
    root: str
    virtual_bytes: int


@dataclass(frozen=True, slots=True)
class Backing:
    """What is lent: `images` by target, in the store at `store` on the lender's machine; `lock` is
    the lock file of the VM's generations there; `token` names everything that is made for it."""

    token: str
    vm_name: str
    store: str
    lock: str
    images: Mapping[str, BackingImage]

    def __post_init__(self) -> None:
        for target in self.images:
            if not _TARGET.fullmatch(target):
                raise Refused(f"{target!r} is not the name of a virtual disk.")

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


class RemoteBacking:
    """Both ends of a backing, over SSH connections of their own."""

    def __init__(self, backing: Backing, lender: Endpoint, borrower: Endpoint) -> None:
        self.backing = backing
        self._lender = Machine(lender, backing.channel)
        self._borrower = Machine(borrower, backing.channel)

    def open(self) -> dict[str, list[int]]:
        """Make whatever is missing of the line; as often as one likes. By target, the first bytes
        of blocks that the lender did not hand out, since they are not as they were backed up.
        Raises an AdapterError."""
        lender = self._lend()
        folder = str(lender["folder"])
        if not self._reaches_lender():
            self.close_tunnels()
            for target in self.backing.images:
                self._lead(f"{folder}/{target}", target)
        self._borrow(folder)
        return {target: lender["bad"].get(target, []) for target in self.backing.images}

    def close(self) -> list[str]:
        """End everything; sentences on what is out of reach now."""
        left = []
        for machine, folder in (
            (self._borrower, self.backing.folder),
            (self._lender, self._lender_folder),
        ):
            try:
                _attendant(machine, _BORROWER, "end", folder)
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
        return f"labpanel-lend-{self.backing.token}"

    def _lend(self) -> dict[str, Any]:
        exports = [
            {"socket": target, "name": target, "vm": "", "stored": self._stored(lent)}
            for target, lent in self.backing.images.items()
        ]
        wanted = {"lock": self.backing.lock, "patience": PATIENCE, "exports": exports}
        return _attendant(self._lender, _LENDER, "begin", self._lender_folder, wanted)

    def _stored(self, lent: BackingImage) -> dict[str, Any]:
        return {**asdict(lent), "store": self.backing.store}

    def _borrow(self, lender_folder: str) -> None:
        exports = [
            {
                "socket": Path(self.backing.socket(target)).name,
                "name": target,
                "node": _waiting(self._far(lender_folder, target), target),
                "vm": self.backing.vm_name,
            }
            for target in self.backing.images
        ]
        wanted = {"lock": "", "patience": PATIENCE, "exports": exports}
        _attendant(self._borrower, _BORROWER, "begin", self.backing.folder, wanted)

    def _far(self, lender_folder: str, target: str) -> str:
        if self._same:
            return f"{lender_folder}/{target}"
        return f"{self.backing.folder}/{target}.far"

    @property
    def _same(self) -> bool:
        return self._lender.endpoint.target == self._borrower.endpoint.target

    def _reaches_lender(self) -> bool:
        if self._same:
            return True
        return all(answers(self._borrower, self._far("", target)) for target in self.backing.images)

    def _lead(self, socket: str, target: str) -> None:
        """Make the lender's socket reachable on the borrower's machine."""
        if self._same:
            return
        far = self._far("", target)
        self._borrower.run(["mkdir", "-p", "-m", "711", "--", self.backing.folder], deadline=_PROBE)
        near = Path(socket)
        if self._borrower.endpoint.is_local:
            self._lender.forward_to(Path(far), socket)
            return
        if not self._lender.endpoint.is_local:
            near = Path(settings.RUNTIME_DIR) / f"n-{self.backing.channel}-{target}"
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
    machine: Machine,
    program: str,
    verb: str,
    folder: str,
    wanted: dict[str, Any] | None = None,
) -> dict[str, Any]:
    arguments = [verb, folder, *([json.dumps(wanted)] if wanted is not None else [])]
    try:
        output = run_bundle(machine, program, arguments, deadline=_BEGIN)
    except CommandFailed as error:
        if "No module named 'nbd'" in error.detail:
            name = machine.endpoint.name
            raise Missing(
                f"python3-libnbd is missing on {name}: apt install python3-libnbd.", error.detail
            ) from error
        said = error.detail.splitlines()[-1] if error.detail else error.sentence
        raise Refused(said, error.detail) from error
    return _answer(machine, output.text)


def _answer(machine: Machine, text: str) -> dict[str, Any]:
    """The folder, and by target what was not handed out. Raises an AdapterError."""
    what = f"The lender's answer from {machine.endpoint.name}"
    said: Any = safe_json.parse(text, what)
    try:
        bad = {
            str(target): [int(start) for start in starts]
            for target, starts in said.get("bad", {}).items()
        }
        return {"folder": str(said["folder"]), "bad": bad}
    except (ValueError, LookupError, TypeError, AttributeError) as broken:
        raise Refused(f"{what} is not used: it holds no folder.", text) from broken
