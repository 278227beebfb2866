"""What the host of a restore lacks, said before a byte is copied, and what can be left out."""

# ruff: noqa: F811 - fixtures that are imported are named by parameters

import hashlib
import re

import pytest

from backups.models import Generation
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.definition import SILENCE, OwnersWord, Word
from tests.fakes.backing_up import Scene, definition
from tests.made_manifests import with_files
from tests.services.test_restore import (  # noqa: F401 - fixtures
    VM_UUID,
    done,
    generation,
    scene,
)

LENT = (
    "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
    "<source file='/srv/images/ro-b.img'/><target dev='vdb' bus='virtio'/><readonly/></disk>"
)
PCI = (
    "<hostdev mode='subsystem' type='pci' managed='yes'><source>"
    "<address domain='0x0000' bus='0x02' slot='0x00' function='0x0'/></source></hostdev>"
)
SCSI = (
    "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/>"
    "<address bus='0' target='0' unit='0'/></source></hostdev>"
)
FOLDER = "<filesystem type='mount'><source dir='/srv/share'/><target dir='share'/></filesystem>"
TPM = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"
ENTROPY = "<rng model='virtio'><backend model='random'>/dev/hwrng</backend></rng>"
VOLUME = (
    "<disk type='volume' device='disk'><source pool='tools' volume='t.img'/>"
    "<target dev='vdc'/><readonly/></disk>"
)
MAKING = {"images.create", "images.serve", "mover.restore", "define"}


def changed(scene: Scene, generation: Generation, inside: str, system: str = "") -> None:
    """The copy's definition with more devices and more in <os>."""
    scene.definition = definition(VM_UUID).replace("</devices>", f"{inside}</devices>")
    scene.definition = scene.definition.replace("<devices>", f"<os>{system}</os><devices>", 1)
    digest = hashlib.sha256(scene.definition.encode()).hexdigest()
    generation.manifest = with_files(generation.manifest, {"domain.xml": digest})
    generation.save()


def accepted(scene: Scene, generation: Generation) -> Job:
    """At the owner's word for all of it."""
    found = re.search(r"--accept-reach ([0-9a-f]{16})", done(generation).sentence)
    word = Word(OwnersWord.ACCEPT, found[1]) if found else SILENCE
    return done(generation, word=word)


@pytest.mark.parametrize(
    ("inside", "system", "said"),
    [
        (LENT, "", "The read-only image /srv/images/ro-b.img (vdb) is missing on beta"),
        (PCI, "", "The PCI device 0000:02:00.0 is missing on beta"),
        (SCSI, "", "The SCSI device 0:0:0:0 is missing on beta"),
        (FOLDER, "", "The shared folder /srv/share is missing on beta"),
        (ENTROPY, "", "The source of entropy /dev/hwrng is missing"),
        (VOLUME, "", "The volume t.img of the storage pool tools is missing on beta"),
        (TPM, "", "The program swtpm is missing on beta; copy has a TPM."),
        ("", "<kernel>/srv/boot/vmlinuz</kernel>", "The kernel /srv/boot/vmlinuz is missing"),
        ("", "<initrd>/srv/boot/initrd.img</initrd>", "The initrd /srv/boot/initrd.img is"),
        ("", "<loader type='rom'>/usr/share/x.bin</loader>", "The firmware /usr/share/x.bin is"),
        ("<emulator>/usr/bin/qemu-x</emulator>", "", "The emulator /usr/bin/qemu-x is missing"),
        ("<interface type='bridge'><source bridge='br9'/></interface>", "", "The bridge br9"),
        ("<interface type='network'><source network='dmz'/></interface>", "", "The network dmz"),
    ],
)
def test_what_the_host_lacks_is_said_before_a_byte_is_copied(
    scene: Scene, generation: Generation, inside: str, system: str, said: str
) -> None:
    """The same list as a move's (hosts/rules/lacks.py)."""
    changed(scene, generation, inside, system)
    first, job = done(generation), accepted(scene, generation)
    for one in (first, job):
        assert one.state == State.FAILED
        assert said in one.sentence
    assert not MAKING & set(scene.asked)
    assert (scene.files, scene.domains) == (set(), {})


def test_a_machine_that_the_host_cannot_run_is_said(scene: Scene, generation: Generation) -> None:
    scene.machine_trouble = "the machine 'pc-q35-9.9' is not supported by emulator"
    job = done(generation)
    assert job.state == State.FAILED
    assert "beta cannot run the machine type" in job.sentence
    assert not MAKING & set(scene.asked)


def test_what_is_there_does_not_hold_it_back(scene: Scene, generation: Generation) -> None:
    changed(scene, generation, LENT + FOLDER, "<kernel>/srv/boot/vmlinuz</kernel>")
    scene.files |= {"/srv/images/ro-b.img", "/srv/share", "/srv/boot/vmlinuz"}
    job = accepted(scene, generation)
    assert job.state == State.DONE, job.sentence
    assert "ro-b.img" in scene.defined[0]


def test_what_is_left_out_holds_nothing_back(scene: Scene, generation: Generation) -> None:
    card = "<interface type='bridge'><mac address='52:54:00:00:00:09'/><source bridge='br9'/>"
    changed(scene, generation, f"{PCI}{FOLDER}{card}</interface>", "<kernel>/srv/k</kernel>")
    job = done(generation, word=Word(OwnersWord.DROP))
    assert job.state == State.DONE, job.sentence
    lines = [line.text for line in job.lines.all()]
    assert "Left out: the network card" in " ".join(lines)
    assert not {"br9", "hostdev", "kernel"} & set(re.findall(r"[a-z0-9]+", scene.defined[0]))


@pytest.mark.parametrize(
    ("drive", "said"),
    [
        (
            "<disk type='network' device='cdrom'><source protocol='https' name='iso/x.iso'>"
            "<host name='192.0.2.9' port='443'/></source><target dev='hdc'/><readonly/></disk>",
            "The medium in hdc (https://192.0.2.9:443/iso/x.iso) is not a file of a host",
        ),
        (
            "<disk type='network' device='floppy'><source protocol='nbd' name='f'>"
            "<host name='192.0.2.9'/></source><target dev='fda'/></disk>",
            "The medium in fda (nbd://192.0.2.9/f)",
        ),
        (
            "<disk type='volume' device='cdrom'><source pool='isos' volume='x.iso'/>"
            "<target dev='hdd'/><readonly/></disk>",
            "The medium in hdd (the volume x.iso of the pool isos)",
        ),
    ],
)
def test_a_medium_that_is_no_file_leaves_an_empty_drive_and_a_note(
    scene: Scene, generation: Generation, drive: str, said: str
) -> None:
    changed(scene, generation, drive)
    job = done(generation)
    assert job.state == State.DONE, job.sentence
    assert said in " ".join(line.text for line in job.lines.all())
    assert "x.iso" not in scene.defined[0]
    assert "network" not in scene.defined[0]


CARD = "<interface type='bridge'><source bridge='br9'/></interface>"


def test_a_card_without_a_bridge_can_be_left_out_from_the_page(
    scene: Scene, generation: Generation
) -> None:
    changed(scene, generation, CARD)
    job = done(generation)
    assert job.sentence == (
        "The bridge br9 is missing on beta. Nothing was made. Make that on beta first, or leave it "
        "out with --drop-reach."
    )
    asking = job.state_data["asking"]
    assert (asking["code"], asking["can_drop"], asking["words"]) == ("", True, [])
    assert asking["lacks"] == ["The bridge br9 is missing on beta."]


def test_what_no_word_can_mend_is_no_question(scene: Scene, generation: Generation) -> None:
    changed(scene, generation, TPM + CARD)
    job = done(generation)
    assert "swtpm is missing" in job.sentence
    assert "--drop-reach" not in job.sentence
    assert "asking" not in job.state_data


def test_with_what_it_lacks_only_leaving_it_out_is_offered(
    scene: Scene, generation: Generation
) -> None:
    changed(scene, generation, FOLDER)
    asking = done(generation).state_data["asking"]
    assert (asking["code"], asking["can_drop"]) == ("", True)
    assert asking["words"]
    scene.files.add("/srv/share")
    asking = done(generation).state_data["asking"]
    assert len(asking["code"]) == 16
    assert asking["lacks"] == []
