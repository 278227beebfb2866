"""One rehearsal on ground that is ready: boot, watch, look, judge, write down."""

from dataclasses import replace

from django.utils import timezone

from backups.models import Exclusion, Generation
from backups.rules.rehearsal import Life, Outcome, Seen, judge, not_booted
from backups.services.generation_files import text_of
from backups.services.rehearsal_appliance import look_from_outside
from backups.services.rehearsal_ground import (
    NVRAM,
    Ground,
    Unreadable,
    booted,
    disks_at_hand,
    stage_of,
)
from backups.services.rehearsal_record import record
from backups.services.rehearsal_watch import (
    answers_live,
    last_screen,
    look_at_live,
    look_inside,
    watch,
)
from labpanel.adapters import rehearsal_xml
from labpanel.adapters.rehearsal_xml import Image
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs.work import Failed, Work
from labpanel.lib.guest import Guest
from labpanel.lib.rehearsing import Expected
from labpanel.lib.shapes import Progress


class Run:
    """What is to be booted, and what came of it."""

    def __init__(self, work: Work, generation: Generation, keeper: Keeper) -> None:
        self.work, self.generation, self.keeper = work, generation, keeper
        self.began = timezone.now()
        self.xml = text_of(keeper, generation, "domain.xml")
        kernel = rehearsal_xml.boots_a_host_file(self.xml)
        if kernel:
            raise Failed(
                f"{generation.vm_name} starts the kernel {kernel} of its host, which no backup "
                "holds: it cannot be rehearsed. Let it boot from its own disk."
            )

    def do(self, ground: Ground) -> Outcome:
        """The outcome, written down. The domain is gone when this returns."""
        self._must_have(ground)
        self._phase("opening the disks")
        screen = b""
        try:
            with disks_at_hand(ground, self.keeper, self.generation) as images:
                seen, screen = self._boot(ground, images)
                seen = self._from_outside(ground, images, seen)
                self._store_answers()
            outcome = judge(seen)
        except Unreadable as problem:
            disks = self._expected({problem.target: problem.sentence})
            outcome = not_booted(self.generation.vm_name, disks)
        record(self.generation, ground.host, self.began, outcome, screen)
        return outcome

    def _must_have(self, ground: Ground) -> None:
        files = sorted(rehearsal_xml.host_files(self.xml))
        lacking = set(files) - set(ground.stage.existing(files))
        if lacking:
            raise Failed(
                f"{ground.host.name} lacks {', '.join(sorted(lacking))}, the firmware of "
                f"{self.generation.vm_name}; install it there, or rehearse on another host."
            )

    def _boot(self, ground: Ground, images: list[Image]) -> tuple[Seen, bytes]:
        if NVRAM in self.generation.manifest["files"]:
            ground.stage.keep(NVRAM, text_of(self.keeper, self.generation, NVRAM))
        stage = stage_of(ground, self.work.job.pk)
        fitted = rehearsal_xml.rehearsal(self.xml, stage, images)
        with booted(self.work, ground, fitted):
            self._phase("booting")
            had_agent = rehearsal_xml.has_agent(self.xml)
            watched = watch(self.work, ground, had_agent=had_agent)
            life, guest, live, why_no_live = self._look(ground, watched.life)
            screen = last_screen(ground, watched.screen)
        seen = Seen(
            name=self.generation.vm_name,
            host=ground.host.name,
            life=life,
            disks=self._expected({}),
            guest=guest,
            live=live,
            why_no_live=why_no_live,
            younger=self._younger(),
            left_out=rehearsal_xml.left_out(self.xml, [image.target for image in images]),
        )
        return seen, screen

    def _from_outside(self, ground: Ground, images: list[Image], seen: Seen) -> Seen:
        """Where the guest could not be asked for all: its disks, opened by an appliance."""
        if seen.guest is not None and not seen.guest.why_no_trees:
            return seen
        self._phase("looking at the disks from outside")
        kvm = ground.kvm and rehearsal_xml.wants_kvm(self.xml)
        insides, why_not = look_from_outside(self.work, ground, images, kvm=kvm)
        return replace(seen, insides=insides, why_no_insides=why_not)

    def _store_answers(self) -> None:
        """A store that is gone by now gave the guest errors that are not the copy's."""
        self.keeper.manifest(str(self.generation.vm_uuid), self.generation.key)

    def _look(self, ground: Ground, life: Life) -> tuple[Life, Guest | None, Guest | None, str]:
        """The guest and the running VM from inside; of a silent one, whether that is a surprise."""
        if life.seconds is None:
            slower = rehearsal_xml.wants_kvm(self.xml) and not ground.kvm
            awaited = life.had_agent and not slower and answers_live(self.generation)
            return replace(life, awaited=awaited), None, *look_at_live(self.generation)
        self._phase("looking")
        live, why_no_live = look_at_live(self.generation)
        return life, look_inside(self.work, ground, live), live, why_no_live

    def _expected(self, unreadable: dict[str, str]) -> tuple[Expected, ...]:
        """Every disk that held data at the backup, the ones that the generation lacks too."""
        sizes = {
            disk["target"]: disk["virtual_bytes"] for disk in self.generation.manifest["disks"]
        }
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
