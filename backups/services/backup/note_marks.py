"""A finding for each disk whose image QEMU has marked as corrupt, from what a backup saw of it."""

from collections.abc import Mapping
from datetime import datetime

from hosts.models import VM
from hosts.services.checks import recorder
from labpanel.lib.source_facts import ImageFacts
from labpanel.symptoms.facts.copies import CorruptImage
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Symptom, SymptomSubject


def note_marks(vm: VM, images: Mapping[str, ImageFacts], now: datetime) -> None:
    """`images` by target. One without the mark ends the finding of its disk."""
    well = [_subject(vm, target) for target, image in images.items() if not image.corrupt]
    recorder.resolve(vm.host, Kind.IMAGE, well, now)
    for target, image in images.items():
        if image.corrupt:
            recorder.record(vm.host, _symptom(vm, target, image), now)


def _subject(vm: VM, target: str) -> str:
    return f"{vm.uuid} {target}"


def _symptom(vm: VM, target: str, image: ImageFacts) -> Symptom:
    return Symptom(
        SymptomSubject(SubjectKind.DISK, _subject(vm, target)),
        Level.BAD,
        CorruptImage(vm.name, target, tuple(image.corrupt)),
        tuple(Evidence("corrupt mark", path, "qcow2 header") for path in image.corrupt),
        (vm.uuid,),
    )
