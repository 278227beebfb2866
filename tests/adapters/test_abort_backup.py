"""A backup job that libvirt was told to end is over when the call returns."""

from typing import Any, cast

import libvirt
import pytest

from labpanel.adapters.libvirt.child import backup_calls
from labpanel.adapters.libvirt.child.backup_calls import abort_backup

UUID = "11111111-2222-4333-8444-555555555555"
OURS = "/var/lib/libvirt/qemu/domain-2-web/contract"


class NoBackup(libvirt.libvirtError):  # type: ignore[misc]  # libvirt has no types
    def __init__(self) -> None:
        self.err = None

    def get_error_code(self) -> int:
        return int(libvirt.VIR_ERR_NO_DOMAIN_BACKUP)


class Daemon:
    """libvirtd: abortJob asks QEMU to cancel and returns; the job stands until the event of its
    last disk was handled (qemu_backup.c, qemuBackupNotifyBlockjobEnd)."""

    def __init__(self, socket: str, asked_in_between: int) -> None:
        self.socket, self.left = socket, asked_in_between
        self.aborted = 0

    def lookupByUUIDString(self, uuid: str) -> "Daemon":
        assert uuid == UUID
        return self

    def backupGetXMLDesc(self) -> str:
        if self.aborted:
            self.left -= 1
        if self.left < 0:
            raise NoBackup
        return f"<domainbackup mode='pull'><server socket='{self.socket}'/></domainbackup>"

    def abortJob(self) -> None:
        self.aborted += 1


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_calls, "END_PAUSE", 0)


@pytest.mark.parametrize("asked_in_between", [0, 1, 40])
def test_the_job_is_over_when_the_call_returns(asked_in_between: int) -> None:
    daemon = Daemon(OURS, asked_in_between)
    assert abort_backup(cast("Any", daemon), UUID, OURS) is True
    assert abort_backup(cast("Any", daemon), UUID, OURS) is False
    assert daemon.aborted == 1


def test_a_job_that_does_not_end_keeps_the_caller_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backup_calls, "END_SECONDS", 0)
    assert abort_backup(cast("Any", Daemon(OURS, 10**9)), UUID, OURS) is True


def test_the_job_of_another_is_left_alone() -> None:
    daemon = Daemon("/run/another", 10**9)
    assert abort_backup(cast("Any", daemon), UUID, OURS) is False
    assert daemon.aborted == 0
