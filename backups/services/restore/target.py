"""The host that a restored VM comes to: its definition there, the start, the tidying."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from backups.models import Generation
from backups.rules.backup.left_out import sentences
from backups.selectors.copies.left_out import left_out_of
from backups.services.index.note_made import MadeBeside
from backups.services.restore.ask_again import Asking, Question
from backups.services.restore.beside import Extras, bring_back, extras_of, marked_of, remove
from backups.services.restore.needs import JudgedDefinition, host_for, judged
from backups.services.restore.pieces import RestoreStores, must_be_trusted
from backups.services.restore.placing import Places
from hosts.models import VM, Host
from hosts.selectors.images import image_folders
from hosts.services.inventory.claims import hand_over
from hosts.services.vms.agreement import Agreement, Terms, agree, asking, word_of
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.uses.jobs import Restores
from labpanel.adapters.libvirt.xml import restore_xml
from labpanel.adapters.libvirt.xml.restore_xml import NewIdentity
from labpanel.jobs.work import Failed, Work
from labpanel.lib.quoted import quoted


@dataclass(frozen=True, slots=True)
class Prepared:
    """A definition that may go to the host, what the generation has for it beside its disks, and
    what is not in the copy, in sentences."""

    xml: str
    extras: Extras
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """What a restore needs of the target host while it runs. `placed` are images that have their
    final names, `made` the files beside them."""

    host: Host
    identity: NewIdentity
    images: ImageHost
    hypervisor: Restores
    beside: Callable[[], BesideHost]
    work: Work
    placed: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    def must_be_free(self) -> None:
        name, host = self.identity.name, self.host.name
        if self.hypervisor.uuid_of(name):
            raise Failed(f"There already is a VM {name} on {host}; choose another name.")
        if self.is_known():
            raise Failed(f"{host} already knows a VM with the UUID of {name}; give a new name.")

    def pools(self) -> tuple[str, ...]:
        """Folders of the host's storage pools."""
        return self.hypervisor.pool_folders()

    def is_known(self) -> bool:
        """Whether the host's libvirt has a domain of its UUID."""
        return self.hypervisor.state(self.identity.uuid).known

    def prepared(
        self,
        sources: RestoreStores,
        definition: Generation,
        places: Places,
        formats: Mapping[str, str],
        ciphered: Sequence[str] = (),
    ) -> Prepared:
        """The definition for here, agreed to and taken by this libvirt, before anything is made.

        Raises Failed with all that speaks against it. `formats` are the images' own, by target;
        `ciphered` those that hold what was encrypted, if their VM's disk was.
        """
        must_be_trusted(definition)
        xml = sources.text(definition, "domain.xml")
        for disk in sorted(set(restore_xml.data_targets(xml)) - set(places.paths)):
            self.work.line(f"{disk} of the definition does not come back and is left out.")
        for disk in sorted(restore_xml.encrypted(xml) & set(places.paths) - set(ciphered)):
            self.work.line(f"{disk} was encrypted; its copy is plain and comes back without that.")
        extras = extras_of(sources, definition, self.identity, places, self.images)
        fitted = restore_xml.fitted(
            xml,
            self.identity,
            places.paths,
            gone=self._gone(xml),
            formats=formats,
            nvram=extras.nvram,
            boot=extras.boot,
            ciphered=ciphered,
        )
        agreed = self._agreed(fitted, definition, [*places.paths.values(), *extras.paths])
        self._must_take(agreed)
        lacks = sentences(left_out_of(definition))
        for said in lacks:
            self.work.line(said)
        return Prepared(agreed, extras.used_by(agreed), tuple(lacks))

    def _gone(self, xml: str) -> frozenset[str]:
        """Media and logs that the host lacks: the VM can do without."""
        needs = restore_xml.optional(xml)
        for words in restore_xml.far_media(xml):
            self.work.line(
                f"The medium in {words} is not a file of a host; the drive comes back empty."
            )
        media = needs.media - set(self.images.existing(sorted(needs.media)))
        folders = {path: path.rpartition("/")[0] for path in needs.logs}
        there = set(self.images.existing(sorted(set(folders.values()))))
        gone = media | {path for path, folder in folders.items() if folder not in there}
        for path in sorted(gone):
            self.work.line(f"{path} is not on {self.host.name} and is left out.")
        return gone

    def _agreed(self, xml: str, definition: Generation, ours: Sequence[str]) -> str:
        """What reaches into the host is what this host gave the VM itself, or needs a word. What
        the host lacks is said together with that."""
        known = self.hypervisor.own_definition(str(definition.vm_uuid))
        word = word_of(self.work.job.parameters)
        terms = Terms(ours, image_folders(self.host), known)
        agreement = agree([xml], word, terms)
        host = host_for(agreement.xml, ours, self.host.name, self.hypervisor, self.images)
        found = judged(agreement, word, terms, host)
        if agreement.open or found.lacking:
            self._ask(agreement, definition.vm_name, found)
        left_out = [f"Left out: {words}." for words in found.gone]
        for line in (*agreement.lines(), *left_out, *found.notes):
            self.work.line(line)
        return found.xml

    def _ask(self, agreement: Agreement, vm: str, found: JudgedDefinition) -> NoReturn:
        """What only the owner can decide is a question; the rest is what the host lacks."""
        words = [reach.words for reach in agreement.open]
        for each in words:
            self.work.line(f"It would hold {each}.")
        lacking, can_drop = list(found.lacking), agreement.can_drop and not found.lacking
        if not lacking or found.drop_helps:
            question = Question(
                code="" if lacking else agreement.code,
                can_drop=can_drop or found.drop_helps,
                vm=vm,
                host=self.host.name,
                words=tuple(words),
                lacks=tuple(lacking),
            )
            self.work.note(Asking(question))
        said = [asking(agreement, vm, self.host.name)] if words else []
        if lacking:
            drop = ", or leave it out with --drop-reach" if found.drop_helps else ""
            what = f"Nothing was made. Make that on {self.host.name} first{drop}."
            said += [*lacking, what]
        raise Failed(" ".join(said))

    def _must_take(self, xml: str) -> None:
        against = self.hypervisor.check_definition(xml)
        if against:
            raise Failed(
                f"libvirt on {self.host.name} does not take the definition of "
                f"{self.identity.name}: {quoted(against)}. Nothing was made."
            )

    def define(self, sources: RestoreStores, prepared: Prepared, borrowing: str = "") -> None:
        """Make what belongs beside the disks and define; `borrowing` is the definition over lent
        blocks, if it is one."""
        if prepared.extras.files:
            with self.beside() as host:
                uuid, check = self.identity.uuid, self.work.check
                bring_back(prepared.extras, sources, host, uuid, self._ours, check)
        self.hypervisor.define(borrowing or prepared.xml)
        hand_over(self.identity.uuid, self.host, VM.State.SHUTOFF)
        self.work.line(f"{self.identity.name} is defined on {self.host.name}.")

    def _ours(self, path: str) -> None:
        self.made.append(path)
        self.work.note(MadeBeside(tuple(self.made)))

    @property
    def kept_until_removed(self) -> list[str]:
        """Of `made`, what goes with the VM when that is removed."""
        return marked_of(self.made)

    def start(self, done: str) -> None:
        """`done` says what holds even if it does not start."""
        try:
            self.hypervisor.start(self.identity.uuid)
        except AdapterError as error:
            raise Failed(f"{done}, but did not start: {error.sentence}", error.detail) from error

    def tidy(self, partials: Sequence[str]) -> None:
        """Remove what this run made; nothing points at it."""
        known = self.is_known()
        self.images.remove([*partials, *([] if known else self.placed)])
        if self.made and not known:
            remove(self.made, self.identity.uuid, self.images, self.beside())
