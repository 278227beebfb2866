"""What stays of a VM that libvirt is told to forget."""

from typing import Any, cast

import libvirt
import pytest

from labpanel.adapters.errors import Refused
from labpanel.adapters.libvirt.child.power_calls import undefine

UUID = "11111111-2222-4333-8444-555555555555"
EMULATED = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
PASSED = "<tpm model='tpm-tis'><backend type='passthrough'/></tpm>"
KEEP_TPM = 64


class Daemon:
    """libvirtd as 8.9 and its forerunners: an unknown flag is refused (virCheckFlags), and the
    TPM's state goes with the definition unless KEEP_TPM is given (qemuExtTPMCleanupHost)."""

    def __init__(self, version: int, devices: str) -> None:
        self.version, self.devices = version, devices
        self.defined, self.has_state = True, devices == EMULATED

    def getLibVersion(self) -> int:
        return self.version

    def lookupByUUIDString(self, uuid: str) -> "Daemon":
        assert uuid == UUID
        return self

    def XMLDesc(self, flags: int) -> str:
        assert flags == libvirt.VIR_DOMAIN_XML_INACTIVE
        return f"<domain><name>copy</name><devices>{self.devices}</devices></domain>"

    def undefineFlags(self, flags: int) -> None:
        if flags & KEEP_TPM and self.version < 8_009_000:
            raise libvirt.libvirtError("unsupported flags (0x40) in function undefine")
        self.defined = False
        self.has_state = self.has_state and bool(flags & KEEP_TPM)


def forget(daemon: Daemon, *, keep_tpm: bool) -> None:
    undefine(cast("Any", daemon), UUID, snapshots=True, keep_tpm=keep_tpm)


@pytest.mark.parametrize("version", [8_009_000, 9_000_000, 11_003_000])
def test_the_state_of_a_tpm_stays_where_it_is_asked_for(version: int) -> None:
    daemon = Daemon(version, EMULATED)
    forget(daemon, keep_tpm=True)
    assert (daemon.defined, daemon.has_state) == (False, True)


def test_without_the_word_it_goes_as_libvirt_has_it() -> None:
    daemon = Daemon(9_000_000, EMULATED)
    forget(daemon, keep_tpm=False)
    assert (daemon.defined, daemon.has_state) == (False, False)


@pytest.mark.parametrize("version", [7_000_000, 8_000_000])
def test_a_libvirt_that_cannot_keep_it_is_not_asked(version: int) -> None:
    daemon = Daemon(version, EMULATED)
    with pytest.raises(Refused, match="older than 8.9"):
        forget(daemon, keep_tpm=True)
    assert (daemon.defined, daemon.has_state) == (True, True)


@pytest.mark.parametrize("devices", ["", PASSED])
def test_without_a_tpm_of_its_own_an_old_libvirt_forgets(devices: str) -> None:
    daemon = Daemon(8_000_000, devices)
    forget(daemon, keep_tpm=True)
    assert not daemon.defined
