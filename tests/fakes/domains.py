"""The libvirt of a backup's and a restore's scene, in memory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labpanel.adapters.libvirt.uses.backups import (
    BackupBegun,
    BackupFacts,
    DiskSize,
    PushProgress,
    Way,
)
from labpanel.adapters.libvirt.uses.definitions import Defined, Stored
from labpanel.adapters.libvirt.uses.hosts import HostOffer
from labpanel.adapters.libvirt.uses.jobs import BacksUp, Restores
from labpanel.lib.vm_state import RUNNING, SHUT_OFF, DomainState, Reason, reason_of, state_of

if TYPE_CHECKING:
    from tests.fakes.backing_up import Scene

SIZE = 8 << 20


class FakeHypervisor(BacksUp, Restores):
    """What no test has needed yet is refused."""

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene

    def _say(self, name: str) -> None:
        self._scene.say(name)

    def state(self, uuid: str) -> DomainState:
        self._say("state")
        scene = self._scene
        if uuid not in {scene.uuid, *scene.domains}:
            return DomainState(known=False)
        if not scene.active:
            return DomainState(True, SHUT_OFF, Reason.SHUTDOWN)
        number, reason = scene.paused_for or (1, 1)
        state = state_of(number)
        return DomainState(True, state, reason_of(state, reason), 3)

    def start(self, uuid: str) -> None:
        self._say("start")

    def resume(self, uuid: str) -> None:
        self._say("resume")

    def shutdown(self, uuid: str) -> None:
        raise _unknown("shutdown")

    def reboot(self, uuid: str) -> None:
        raise _unknown("reboot")

    def reset(self, uuid: str) -> None:
        raise _unknown("reset")

    def destroy(self, uuid: str) -> None:
        raise _unknown("destroy")

    def set_autostart(self, uuid: str, *, on: bool) -> None:
        raise _unknown("set_autostart")

    def backup_facts(self, uuid: str) -> BackupFacts:
        self._say("backup_facts")
        scene = self._scene
        xml = scene.definition
        if scene.iothread:
            xml = xml.replace("type='qcow2'/>", "type='qcow2' iothread='1'/>")
        return BackupFacts(
            name="home",
            run=3 if scene.active else None,
            state=RUNNING if scene.active else SHUT_OFF,
            active=scene.active,
            xml=xml,
            inactive_xml=xml,
            busy=scene.busy,
            snapshots=scene.snapshots,
            managed_save=scene.managed_save,
            libvirt=9_000_000,
            qemu=7_002_022,
        )

    def block_info(self, uuid: str, target: str) -> DiskSize:
        self._say("block_info")
        return DiskSize(SIZE, SIZE, SIZE)

    def backup_begin(self, uuid: str, ways: Sequence[Way], *, freeze_seconds: int) -> BackupBegun:
        """libvirt that refuses the word `refuses` in a description, if it is set."""
        self._say("backup_begin")
        scene = self._scene
        number = len([way for way in ways if scene.refuses and scene.refuses in str(way)])
        taken = ways[number]
        scene.pulling = taken.xml
        if taken.name:
            scene.checkpoints.add(taken.name)
        return BackupBegun(
            quiesced=scene.quiesced,
            why_not="" if scene.quiesced else "the agent did not answer",
            thawed=scene.thaws,
            way=number,
            refused=("libvirt said no",) * number,
            checkpoint_xml=taken.checkpoint,
        )

    def thaw(self, uuid: str) -> bool:
        self._say("thaw")
        return self._scene.thaws

    def abort_backup(self, uuid: str, mark: str) -> bool:
        self._say("abort_backup")
        was, self._scene.pulling = self._scene.pulling, ""
        return bool(was)

    def push_progress(self, uuid: str) -> PushProgress:
        self._say("push_progress")
        return PushProgress(running=False, done_bytes=1, total_bytes=1, succeeded=True)

    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        self._say("checkpoints")
        return tuple(sorted(self._scene.checkpoints))

    def checkpoints_in_the_way(self, prefix: str) -> dict[str, tuple[str, ...]]:
        raise _unknown("checkpoints_in_the_way")

    def prove_checkpoint(self, uuid: str, checkpoint: str) -> str:
        self._say("prove_checkpoint")
        known = checkpoint in self._scene.checkpoints
        return self._scene.doubts if known else "no such checkpoint"

    def forget_checkpoints(
        self, uuid: str, names: Sequence[str], targets: Sequence[str]
    ) -> tuple[str, ...]:
        self._say("forget_checkpoints")
        gone = sorted(self._scene.checkpoints & set(names))
        self._scene.checkpoints -= set(gone)
        return tuple(gone)

    def drop_checkpoint_records(self, uuid: str, prefix: str) -> tuple[str, ...]:
        raise _unknown("drop_checkpoint_records")

    def uuid_of(self, called: str) -> str:
        self._say("uuid_of")
        named = [uuid for uuid, name in self._scene.domains.items() if name == called]
        return named[0] if named else ""

    def own_definition(self, uuid: str) -> str:
        self._say("own_definition")
        return self._scene.own_definition

    def check_definition(self, xml: str) -> str:
        self._say("check_definition")
        return self._scene.against

    def stored(self, uuid: str) -> Stored | None:
        """What was defined here is off."""
        self._say("stored")
        if uuid not in self._scene.domains:
            return None
        xml = next(xml for xml in self._scene.defined if _text(xml, "uuid") == uuid)
        name = self._scene.domains[uuid]
        return Stored(name, active=False, xml=xml, snapshots=0, managed_save=False)

    def define(self, xml: str) -> Defined:
        self._say("define")
        defined = Defined(_text(xml, "uuid"), _text(xml, "name"))
        self._scene.defined.append(xml)
        self._scene.domains[defined.uuid] = defined.name
        return defined

    def undefine(self, uuid: str, *, snapshots: bool = False, keep_tpm: bool = False) -> None:
        self._say("undefine")
        del self._scene.domains[uuid]

    def pool_folders(self) -> tuple[str, ...]:
        self._say("pool_folders")
        return ("/var/lib/libvirt/images",)

    def target_facts(
        self,
        *,
        emulator: str,
        arch: str,
        machine: str,
        cpu: str,
        volumes: Sequence[tuple[str, str]],
        page_waits: bool = False,
    ) -> HostOffer:
        """A host that can run this machine and has no storage pool."""
        self._say("target_facts")
        return HostOffer(
            libvirt=9_000_000,
            qemu=7_002_022,
            domains=(),
            networks=("lan",),
            machine=self._scene.machine_trouble,
            cpu="",
            missing_volumes=tuple(volumes),
        )


def _unknown(name: str) -> AssertionError:
    return AssertionError(f"the libvirt of this scene knows no {name!r}")


def _text(xml: str, tag: str) -> str:
    return xml.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]
