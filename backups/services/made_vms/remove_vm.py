"""Remove a VM that the panel made, and its images where the owner typed the VM's name.

Only what a row of MadeVM proves: the definition is libvirt's of that UUID on that host, its disks
are the files that the panel made, and each file is still that very file (onhost/images/made.py).
First all of it is looked at, and only then is anything done. What the stores keep of the VM stays.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from backups.models import Generation, InstantRun, MadeVM
from backups.services.index.note_made import beside_of
from backups.services.instant.persistent_exports import remote_backing_of
from hosts.models import VM, Host, VirtualDisk
from hosts.services.inventory.inventory import take_inventory
from hosts.services.vms.forget_vm import drop
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.libvirt.uses.jobs import Removes
from labpanel.adapters.libvirt.xml import domain_xml
from labpanel.adapters.ssh.machine import Machine
from labpanel.jobs.models import Job
from labpanel.jobs.notes import noted
from labpanel.jobs.work import Failed, Work
from labpanel.lib.kept_files import tpm_folder
from labpanel.lib.made import FoundFile, MadeFile, MadeFileState
from labpanel.lib.shapes import Progress
from labpanel.lib.units import count, listed, size


def remove_vm(work: Work) -> dict[str, Any]:
    """Do the job: `{"vm", "host", "removed", "kept"}`, both lists of paths."""
    asked = work.job.parameters
    made = MadeVM.objects.select_related("host", "job").filter(pk=asked["made"]).first()
    if made is None:
        raise Failed(f"{asked['name']} is not one of the VMs that the panel made any more.")
    with contextlib.ExitStack() as stack:
        removal = Removal(
            work,
            made,
            stack.enter_context(opened(made.host.endpoint())),
            stack.enter_context(ImageHost(Machine(made.host.endpoint()))),
        )
        return removal.do()


@dataclass(frozen=True, slots=True)
class Removing:
    """Noted before the first thing goes."""

    begun: bool


@dataclass(frozen=True, slots=True)
class Removal:
    """One removal under way."""

    work: Work
    made: MadeVM
    hypervisor: Removes
    images: ImageHost

    def do(self) -> dict[str, Any]:
        self.work.progress(Progress(phase="looking at what is there"))
        known = self._look()
        self.work.check()
        self.work.note(Removing(begun=True))
        if known:
            self._undefine()
        _end_loan(self.made)
        found = self._delete()
        return _end(self.made, found, asked_images=bool(self.work.job.parameters["images"]))

    def _look(self) -> bool:
        """Whether libvirt knows it. Raises Failed for all that speaks against removing it."""
        name = self.made.vm_name
        state = self.hypervisor.state(str(self.made.vm_uuid))
        on = state.active
        if on and not self.work.job.parameters["switch_off"]:
            raise Failed(f"{name} was started meanwhile; nothing was removed.")
        if state.known:
            self._must_be_as_made()
        if self.work.job.parameters["images"]:
            used = [each.path for each in self._found() if each.state == MadeFileState.USED]
            if used and not on:
                raise Failed(
                    f"{listed(used)} is open in another program on {self.made.host.name}; nothing "
                    "was removed."
                )
            self._must_be_alone()
        return state.known

    def _must_be_as_made(self) -> None:
        """A disk that was added since, or a snapshot over one: such a file is not the panel's."""
        uuid = str(self.made.vm_uuid)
        xml = self.hypervisor.own_definition(uuid)
        ours = {file["path"] for file in self.made.files}
        try:
            domain = domain_xml.parse(xml) if xml else None
        except ValueError as odd:
            raise Failed(f"What libvirt says of {self.made.vm_name} cannot be read: {odd}") from odd
        if domain is not None and domain.odd:
            raise Failed(f"{self.made.vm_name} cannot be looked at: {domain.odd[0]}")
        disks = domain.disks if domain else ()
        foreign = [
            f"{disk.target} ({disk.source})"
            for disk in disks
            if disk.device in {"disk", "lun"} and not disk.read_only and disk.source not in ours
        ]
        if foreign:
            raise Failed(
                f"{self.made.vm_name} has a disk that the panel did not make: {listed(foreign)}. "
                "Nothing was removed. Detach it first, or remove the VM by hand."
            )

    def _must_be_alone(self) -> None:
        """Another VM of that host may lie on these images or be built on them, since a minute ago
        and under another name: libvirt and the images themselves are asked now."""
        host, paths = self.made.host, [file["path"] for file in self.made.files]
        if not take_inventory(host, timezone.now()):
            raise Failed(
                f"libvirt on {host.name} does not tell the disks of its other VMs, which may be "
                "built on these images; nothing was removed."
            )
        here = VirtualDisk.objects.filter(vm__host=host, missing_since=None)
        others = here.filter(source__startswith="/").exclude(vm__uuid=self.made.vm_uuid)
        disks = list(others.select_related("vm"))
        based = self.images.based_on(paths, [(disk.source, disk.format) for disk in disks])
        shared = {one.image: one.file for one in based}
        for disk in disks:
            named = {disk.source, *disk.backing_chain}
            used = shared.get(disk.source) or next((path for path in paths if path in named), "")
            if used:
                raise Failed(f"{used} is used by {disk.vm.name}, too; nothing was removed.")

    def _undefine(self) -> None:
        uuid, name = str(self.made.vm_uuid), self.made.vm_name
        if self.hypervisor.state(uuid).active:
            if not self.work.job.parameters["switch_off"]:
                raise Failed(f"{name} was started meanwhile; nothing was removed.")
            self.hypervisor.destroy(uuid)
            self.work.line(f"{name} is switched off.")
        # Without its images a VM can be defined again: what its TPM holds must be there then.
        keep = not self.work.job.parameters["images"]
        self.hypervisor.undefine(uuid, snapshots=True, keep_tpm=keep)
        self.work.line(f"libvirt on {self.made.host.name} does not know {name} any more.")

    def _delete(self) -> list[FoundFile]:
        """Only once libvirt itself says that nothing of this UUID is defined."""
        state = self.hypervisor.state(str(self.made.vm_uuid))
        if state.known:
            raise Failed(f"{self.made.vm_name} is defined again; its images were not touched.")
        if not self.work.job.parameters["images"]:
            return self._found()
        found = self.images.remove_made(_files(self.made))
        for each in found:
            self.work.line(_line(each))
        self._remove_tpm()
        return found

    def _remove_tpm(self) -> None:
        """Its state lies in a folder named by the UUID; swtpm writes its files anew each time."""
        uuid = str(self.made.vm_uuid)
        beside = beside_of(self.made.job) if self.made.job else ()
        if any(path.startswith(f"{tpm_folder(uuid)}/") for path in beside):
            with BesideHost(Machine(self.made.host.endpoint())) as host:
                host.remove_tpm(uuid)
            self.work.line(f"The state of its TPM in {tpm_folder(uuid)} is deleted.")

    def _found(self) -> list[FoundFile]:
        return self.images.look_at_made(_files(self.made))


def _files(made: MadeVM) -> list[MadeFile]:
    return [MadeFile(**file) for file in made.files]


def _line(file: FoundFile) -> str:
    return {
        MadeFileState.REMOVED: f"{file.path} is deleted ({size(file.bytes)}).",
        MadeFileState.GONE: f"{file.path} was gone already.",
        MadeFileState.USED: f"{file.path} is open in another program and stays.",
    }.get(
        MadeFileState(file.state),
        f"{file.path} is not, or not provably, what the panel made: it stays.",
    )


def _end_loan(made: MadeVM) -> None:
    """A VM that still ran on blocks of a store needs them no more."""
    runs = InstantRun.objects.select_related("host", "generation__store__host")
    run = runs.filter(vm_uuid=made.vm_uuid).first()
    if run is not None:
        with contextlib.suppress(AdapterError):  # its lender ends when it has no borrower
            remote_backing_of(run).close()
        run.delete()


def _end(made: MadeVM, found: Sequence[FoundFile], *, asked_images: bool) -> dict[str, Any]:
    name, host = made.vm_name, made.host
    uuid = made.vm_uuid
    copies = Generation.objects.filter(vm_uuid=uuid).exists()
    made.delete()
    _forget(str(uuid), host)
    removed = [each for each in found if each.state == MadeFileState.REMOVED]
    kept = [
        each.path for each in found if each.state not in {MadeFileState.REMOVED, MadeFileState.GONE}
    ]
    words = f"{name} is removed from {host.name}"
    if removed:
        freed = size(sum(each.bytes for each in removed))
        words += f", and {count(len(removed), 'file')} with it ({freed})"
    if kept:
        words += f". {listed(kept)} {'stays' if len(kept) == 1 else 'stay'} there"
        words += "" if not asked_images else ": not provably what the panel made, or in use"
    return {
        "vm": name,
        "host": host.name,
        "removed": [each.path for each in removed],
        "kept": kept,
        "sentence": f"{words}.{' Copies of it in stores stay.' if copies else ''}",
    }


def _forget(uuid: str, host: Host) -> None:
    with contextlib.suppress(AdapterError):
        take_inventory(host, timezone.now())
    for vm in VM.objects.filter(uuid=uuid, host=host).exclude(missing_since=None):
        drop(vm)


def settle(job: Job) -> str:
    """A killed worker's: what was begun is ended where libvirt has let go of the VM already."""
    made = MadeVM.objects.select_related("host").filter(pk=job.parameters["made"]).first()
    name = job.parameters["name"]
    if made is None:
        return f"{name} was removed; the panel stopped just after."
    if noted(job, Removing) is None:
        return f"The worker died before anything was removed; {name} is as it was."
    with opened(made.host.endpoint()) as hypervisor:
        known = hypervisor.state(str(made.vm_uuid)).known
    if known:
        return f"The worker died in the middle; {name} is still defined on {made.host.name}."
    with ImageHost(Machine(made.host.endpoint())) as images:
        images_too = bool(job.parameters["images"])
        files = _files(made)
        found = images.remove_made(files) if images_too else images.look_at_made(files)
    _end_loan(made)
    return str(_end(made, found, asked_images=images_too)["sentence"])
