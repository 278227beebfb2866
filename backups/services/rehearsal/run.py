"""One rehearsal on a host that is ready: boot, watch, look, judge, write down."""

from dataclasses import replace

from django.utils import timezone

from backups.models import Exclusion, Generation
from backups.rules.rehearsal.verdict import (
    Life,
    RehearsalEvidence,
    RehearsalOutcome,
    judge,
    not_booted,
)
from backups.services.index.generation_files import text_of
from backups.services.rehearsal.appliance import look_from_outside
from backups.services.rehearsal.host import (
    RehearsalHost,
    UnreadableDisk,
    booted,
    disks_at_hand,
    domain_of,
)
from backups.services.rehearsal.record import record
from backups.services.rehearsal.watch import (
    answers_live,
    last_screen,
    look_at_live,
    look_inside,
    watch,
)
from hosts.services.vms.agreement import Agreement, Terms, agree
from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.libvirt.xml import rehearsal_xml
from labpanel.adapters.libvirt.xml.rehearsal_xml import OverlayImage
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs.work import Failed, Work
from labpanel.lib.definition import OwnersWord, Word
from labpanel.lib.guest import Guest
from labpanel.lib.kept_files import NVRAM
from labpanel.lib.rehearsing import Expected
from labpanel.lib.shapes import Progress
from labpanel.lib.units import listed


class RehearsalRun:
    """What is to be booted, and what came of it."""

    def __init__(self, work: Work, generation: Generation, keeper: Keeper) -> None:
        self.work, self.generation, self.keeper = work, generation, keeper
        self.began = timezone.now()
        self.xml = text_of(keeper, generation, "domain.xml")
        boot = rehearsal_xml.boot_files(self.xml)
        kept = generation.manifest.digests_of_files
        self.beside = [name for name in (*boot, NVRAM) if name in kept]
        lost = [path for name, path in boot.items() if name not in self.beside]
        # Without its kernel it would start something else, or nothing: its disks are looked at.
        verb = "is" if len(lost) == 1 else "are"
        self.no_boot = f"{listed(lost)}, which it starts, {verb} not in this copy." if lost else ""

    def do(self, place: RehearsalHost) -> RehearsalOutcome:
        """The outcome, written down. The domain is gone when this returns."""
        self._must_have(place)
        self._phase("opening the disks")
        screen = b""
        try:
            with disks_at_hand(place, self.keeper, self.generation) as images:
                if self.no_boot:
                    seen = self._only_disks(place)
                else:
                    seen, screen = self._boot(place, images)
                seen = self._from_outside(place, images, seen)
                self._store_answers()
            outcome = judge(seen)
        except UnreadableDisk as problem:
            disks = self._expected({problem.target: problem.sentence})
            outcome = not_booted(self.generation.vm_name, disks)
        record(self.generation, place.host, self.began, outcome, screen)
        return outcome

    def _must_have(self, place: RehearsalHost) -> None:
        files = sorted(rehearsal_xml.host_files(self.xml))
        lacking = set(files) - set(place.workspace.existing(files))
        if lacking:
            raise Failed(
                f"{place.host.name} lacks {', '.join(sorted(lacking))}, the firmware of "
                f"{self.generation.vm_name}; install it there, or rehearse on another host."
            )

    def _boot(
        self, place: RehearsalHost, images: list[OverlayImage]
    ) -> tuple[RehearsalEvidence, bytes]:
        self._bring_beside(place)
        boot = [name for name in self.beside if name != NVRAM]
        domain = domain_of(place, self.work.job.pk, boot)
        agreed = self._agreed(rehearsal_xml.rehearsal(self.xml, domain, images), domain, images)
        with booted(self.work, place, rehearsal_xml.marked(agreed.xml, domain)):
            self._phase("booting")
            had_agent = rehearsal_xml.has_agent(self.xml)
            watched = watch(self.work, place, had_agent=had_agent)
            life, guest, live, why_no_live = self._look(place, watched.life)
            screen = last_screen(place, watched.screen)
        seen = RehearsalEvidence(
            name=self.generation.vm_name,
            host=place.host.name,
            life=life,
            disks=self._expected({}),
            guest=guest,
            live=live,
            why_no_live=why_no_live,
            younger=self._younger(),
            left_out=(
                *rehearsal_xml.left_out(self.xml, [image.target for image in images]),
                *(reach.words for reach in agreed.dropped),
            ),
        )
        return seen, screen

    def _bring_beside(self, place: RehearsalHost) -> None:
        """What the copy has for its start beside its disks, into the scratch folder."""
        if not self.beside:
            return
        uuid, key = str(self.generation.vm_uuid), self.generation.key
        sizes = self.keeper.measure(uuid, key, self.beside)
        with BesideHost(place.machine) as host:
            for name, size in sizes.items():
                pieces = self.keeper.read_small(uuid, key, name, size)
                made = host.make(f"{place.workspace.scratch}/{name}", pieces, self.work.check)
                if made != self.generation.manifest.digests_of_files[name]:
                    raise Failed(f"{name} of generation {key} is not what was written.")
                place.workspace.give(name)

    def _only_disks(self, place: RehearsalHost) -> RehearsalEvidence:
        """What is seen of a copy that cannot be booted."""
        life = Life(None, 0, "", "", had_agent=False, not_booted=self.no_boot)
        name, host = self.generation.vm_name, place.host.name
        live, why_no_live = look_at_live(self.generation)
        disks = self._expected({})
        return RehearsalEvidence(name, host, life, disks, None, live, why_no_live, self._younger())

    def _agreed(
        self, xml: str, domain: rehearsal_xml.RehearsalDomain, images: list[OverlayImage]
    ) -> Agreement:
        """A copy that is only looked at reaches nothing of the host, whatever its VM had."""
        agreed = agree([xml], Word(OwnersWord.DROP), Terms(rehearsal_xml.ours(domain, images)))
        if agreed.open:
            words = "; ".join(reach.words for reach in agreed.open)
            raise Failed(
                f"{self.generation.vm_name} cannot be rehearsed: its definition cannot be had "
                f"without {words}."
            )
        return agreed

    def _from_outside(
        self, place: RehearsalHost, images: list[OverlayImage], seen: RehearsalEvidence
    ) -> RehearsalEvidence:
        """Where the guest could not be asked for all: its disks, opened by an appliance."""
        if seen.guest is not None and not seen.guest.why_no_trees:
            return seen
        self._phase("looking at the disks from outside")
        kvm = place.kvm and rehearsal_xml.wants_kvm(self.xml)
        insides, why_not = look_from_outside(self.work, place, images, kvm=kvm)
        return replace(seen, insides=insides, why_no_insides=why_not)

    def _store_answers(self) -> None:
        """A store that is gone by now gave the guest errors that are not the copy's."""
        self.keeper.manifest(str(self.generation.vm_uuid), self.generation.key)

    def _look(
        self, place: RehearsalHost, life: Life
    ) -> tuple[Life, Guest | None, Guest | None, str]:
        """The guest and the running VM from inside; of a silent one, whether that is a surprise."""
        if life.seconds is None:
            slower = rehearsal_xml.wants_kvm(self.xml) and not place.kvm
            awaited = life.had_agent and not slower and answers_live(self.generation)
            return replace(life, awaited=awaited), None, *look_at_live(self.generation)
        self._phase("looking")
        live, why_no_live = look_at_live(self.generation)
        return life, look_inside(self.work, place, live), live, why_no_live

    def _expected(self, unreadable: dict[str, str]) -> tuple[Expected, ...]:
        """Every disk that held data at the backup, the ones that the generation lacks too."""
        sizes = {disk.target: disk.virtual_bytes for disk in self.generation.manifest.disks}
        taken_out = self._taken_out()
        found = []
        for target, serial in rehearsal_xml.serials(self.xml).items():
            chosen, why = target in taken_out, unreadable.get(target, "")
            if target not in sizes:
                why = taken_out.get(target, "This generation holds nothing of it.")
            absent = chosen and target not in sizes
            found.append(Expected(target, sizes.get(target, 0), serial, why, absent))
        return tuple(found)

    def _taken_out(self) -> dict[str, str]:
        exclusions = Exclusion.objects.filter(vm__uuid=self.generation.vm_uuid)
        return {one.target: f"{one.by} took it out: {one.reason}" for one in exclusions}

    def _younger(self) -> tuple[str, ...]:
        """Disks that the VM has now and had not at the backup."""
        vm = self.generation.vm
        if vm is None:
            return ()
        disks = vm.disks.filter(missing_since=None)
        now = {disk.target for disk in disks if disk.holds_data}
        return tuple(sorted(now - set(rehearsal_xml.data_disks(self.xml))))

    def _phase(self, phase: str) -> None:
        self.work.check()
        self.work.progress(Progress(phase=phase))
