"""The host that a restored VM comes to: what it lacks, the definition, the start, the tidying."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backups.models import Generation
from backups.services.placing import Places
from backups.services.restore_pieces import Sources
from hosts.models import Host
from labpanel.adapters import restore_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.restore_xml import Identity
from labpanel.jobs.work import Failed, Work

_NVRAM = "/var/lib/libvirt/qemu/nvram"
_SHORT = 15
# libvirt may probe QEMU anew before it defines (16 s seen under plain emulation).
_DEFINE_SECONDS = 120
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Target:
    """What a restore needs of the target host while it runs. `placed` are files that have their
    final names."""

    host: Host
    identity: Identity
    images: ImageHost
    hypervisor: Hypervisor
    work: Work
    placed: list[str] = field(default_factory=list)

    def must_be_free(self) -> None:
        name, host = self.identity.name, self.host.name
        if self.hypervisor.call("uuid_of", deadline=_SHORT, called=name):
            raise Failed(f"There already is a VM {name} on {host}; choose another name.")
        if self.state()["known"]:
            raise Failed(f"{host} already knows a VM with the UUID of {name}; give a new name.")

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.hypervisor.call(
            "state", deadline=_SHORT, uuid=self.identity.uuid
        )
        return found

    def lacks(self, xml: str) -> frozenset[str]:
        """Refuse what the host lacks, all at once; media and logs that it lacks can be left out."""
        needs = restore_xml.needs(xml)
        networks = needs.networks - set(self.hypervisor.call("networks", deadline=_SHORT))
        bridges = needs.bridges - set(self.images.interfaces())
        files = needs.files - set(self.images.existing(sorted(needs.files)))
        lacking = [
            *(f"the network {name}" for name in sorted(networks)),
            *(f"the bridge {name}" for name in sorted(bridges)),
            *(f"the file {name}" for name in sorted(files)),
        ]
        if lacking:
            raise Failed(f"{self.host.name} lacks {', '.join(lacking)}; make that first.")
        media = needs.media - set(self.images.existing(sorted(needs.media)))
        folders = {path: path.rpartition("/")[0] for path in needs.logs}
        there = set(self.images.existing(sorted(set(folders.values()))))
        gone = media | {path for path, folder in folders.items() if folder not in there}
        for path in sorted(gone):
            self.work.line(f"{path} is not on {self.host.name} and is left out.")
        return gone

    def fitted(
        self,
        sources: Sources,
        definition: Generation,
        xml: str,
        places: Places,
        gone: frozenset[str],
    ) -> str:
        """The definition for here; its UEFI variables are written beside libvirt's own."""
        for disk in sorted(set(restore_xml.data_targets(xml)) - set(places.paths)):
            self.work.line(f"{disk} of the definition does not come back and is left out.")
        nvram = ""
        if "nvram.fd" in definition.manifest["files"]:
            nvram = f"{_NVRAM}/{places.stem}-{self.identity.uuid[:8]}_VARS.fd"
            self.work.remember(nvram=nvram)
            self.images.write_file(nvram, sources.text(definition, "nvram.fd"))
            self.placed.append(nvram)
        return restore_xml.fitted(xml, self.identity, places.paths, gone=gone, nvram=nvram)

    def define(self, xml: str) -> None:
        self.hypervisor.call("define", deadline=_DEFINE_SECONDS, xml=xml)
        self.work.line(f"{self.identity.name} is defined on {self.host.name}.")

    def start(self, done: str) -> None:
        """`done` says what holds even if it does not start."""
        try:
            self.hypervisor.call("start", deadline=_START_SECONDS, uuid=self.identity.uuid)
        except AdapterError as error:
            raise Failed(f"{done}, but did not start: {error.sentence}", error.detail) from error

    def tidy(self, partials: Sequence[str]) -> None:
        """Remove what this run made; nothing points at it."""
        with contextlib.suppress(AdapterError):
            known = self.state()["known"]
            self.images.remove([*partials, *([] if known else self.placed)])
            self.work.remember(closed=True)
