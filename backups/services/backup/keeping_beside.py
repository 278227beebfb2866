"""What a backup keeps beside the disks: the files that a direct boot starts, UEFI variables, the
state of a TPM. What cannot be kept is written down as left out; it fails no backup.
"""

import contextlib
from dataclasses import dataclass, field

from backups.models import Generation
from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.libvirt.xml.beside_xml import Tpm, beside
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.lib.kept_files import NVRAM, TPM, tpm_folder
from labpanel.lib.left_out import LeftOut, LeftOutKind

_BOOT_BYTES, _NVRAM_BYTES, _TPM_BYTES = 512 << 20, 128 << 20, 4 << 20
# What onhost/images/beside.py says of a file that it does not give.
_NOT_GIVEN = {"absent", "odd", "large", "unread"}
_TRIES = 3
_CHANGED = "It was written to while it was read."
_NOT_LIBVIRTS = {
    "passthrough": "It is a chip of the host.",
    "external": "Its emulator is not started by libvirt.",
}


@dataclass(slots=True)
class KeepingBeside:
    """Of one backup under way; `stack` is its own, on which `host` is opened when it is needed.
    `files` are what lies in the store by now: name → SHA-256."""

    host: BesideHost
    stack: contextlib.ExitStack
    keeper: Keeper
    uuid: str
    key: str
    before: Generation | None
    files: dict[str, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    _opened: bool = False

    def boot_files(self, xml: str) -> None:
        """Kernel, initrd and device tree: they do not belong to an instant."""
        for name, path in beside(xml).boot_files.items():
            self._keep(name, path, _BOOT_BYTES, LeftOut(LeftOutKind(name), path))

    def states(self, xml: str, *, active: bool) -> None:
        """UEFI variables and the TPM, at the instant of the disks. Without a file there is nothing
        to keep of a VM that was never started."""
        found = beside(xml)
        if found.nvram_kind not in {"", "file"}:
            why = f"They lie on a {found.nvram_kind} source, and only files are kept."
            self.left_out.append(LeftOut(LeftOutKind.NVRAM, "", why))
        elif found.nvram:
            lost = LeftOut(LeftOutKind.NVRAM, found.nvram)
            self._keep(NVRAM, found.nvram, _NVRAM_BYTES, lost, may_lack=not active)
        if found.tpm is not None:
            self._tpm(found.tpm, active=active)

    def _tpm(self, tpm: Tpm, *, active: bool) -> None:
        lost = LeftOut(LeftOutKind.TPM, tpm.words)
        if tpm.kind != "emulator":
            self.left_out.append(LeftOut(*_what(lost), _NOT_LIBVIRTS.get(tpm.kind, "")))
        elif tpm.elsewhere:
            why = f"It lies in {tpm.elsewhere}, not in libvirt’s own folder."
            self.left_out.append(LeftOut(*_what(lost), why))
        else:
            # swtpm writes its state beside and renames it (swtpm_nvstore_dir.c): also while it runs
            # what is read is whole.
            for name, inner in TPM.items():
                path = f"{tpm_folder(self.uuid)}/{inner}/{name}"
                self._keep(name, path, _TPM_BYTES, lost, may_lack=True)
            if active and not self.files.keys() & TPM.keys() and lost not in self._told:
                why = f"It was not found in {tpm_folder(self.uuid)}."
                self.left_out.append(LeftOut(*_what(lost), why))

    @property
    def _told(self) -> set[LeftOut]:
        return {LeftOut(one.kind, one.subject) for one in self.left_out}

    def _keep(
        self, name: str, path: str, most: int, lost: LeftOut, *, may_lack: bool = False
    ) -> None:
        why = _CHANGED
        if not self._opened:
            self._opened = bool(self.stack.enter_context(self.host))
        try:
            for _ in range(_TRIES):
                if self._copied(name, path, most):
                    return
        except ScriptRefused as refusal:
            if refusal.code == "absent" and may_lack:
                return
            if refusal.code not in _NOT_GIVEN:
                raise
            why = refusal.sentence
        self.left_out.append(LeftOut(*_what(lost), why))

    def _copied(self, name: str, path: str, most: int) -> bool:
        """Into the store; False if it was written to meanwhile."""
        taken = self.host.take(name, path, most)
        shared = self.before is not None and (
            self.before.manifest.digests_of_files.get(name) == taken.sha256
            and self.keeper.borrow(self.uuid, self.key, name, self.before.key, taken.sha256)
        )
        if not shared:
            pieces = self.host.pieces(name, taken.bytes)
            self.keeper.write_small(self.uuid, self.key, name, pieces)
        if not self.host.leave(name):
            return False
        self.files[name] = taken.sha256
        return True


def _what(lost: LeftOut) -> tuple[LeftOutKind, str]:
    return lost.kind, lost.subject
