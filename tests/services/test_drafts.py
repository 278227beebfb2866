"""The description that a host would get by a move: what another host says vouches for nothing."""

import dataclasses
from typing import Any

import pytest

from hosts.rules.placement import fit
from labpanel.adapters.answers.safe_xml import UnsafeXml
from labpanel.adapters.libvirt.xml import move_xml
from labpanel.adapters.moving.move_host import FolderRoom
from labpanel.lib.definition import SILENCE, OwnersWord, Word
from labpanel.lib.moving import Draft, MoveTarget
from labpanel.lib.shapes import Endpoint
from labpanel.moves.services import drafts
from labpanel.moves.services.facts import AskedHost, SourceFacts, _paths
from tests.fakes.moving import facts
from tests.rules.definitions.cases import IMAGE, PLAIN, device, in_os, top
from tests.rules.test_fit import BETA, OFF, WEB, sentences

BETA_HOST = Endpoint("beta", "root@beta")
NEW = "/srv/images/web.qcow2"
FOLDER = device("<filesystem type='mount'><source dir='/'/><target dir='r'/></filesystem>")
THERE = dataclasses.replace(BETA, paths={IMAGE: NEW})
NOTE = top("<metadata><h:run xmlns:h='https://hook.example'>id</h:run></metadata>")


class Libvirt:
    """hypervisor.pool of a host whose libvirt has `against` to say."""

    def __init__(self, against: str = "") -> None:
        self.against, self.checked = against, list[str]()

    def of(self, endpoint: Endpoint) -> "Libvirt":
        assert endpoint == BETA_HOST
        return self

    def check_definition(self, xml: str) -> str:
        self.checked.append(xml)
        return self.against


@pytest.fixture
def libvirt(monkeypatch: pytest.MonkeyPatch) -> Libvirt:
    made = Libvirt()
    monkeypatch.setattr(drafts, "pool", made)
    return made


def draft(
    inactive: str = PLAIN,
    portable: str = "",
    word: Word = SILENCE,
    needs: str = PLAIN,
    there: MoveTarget = THERE,
) -> Draft:
    said = facts(active=bool(portable), portable_xml=portable, inactive_xml=inactive)
    case = drafts.Case(said, move_xml.needs(needs), there)
    return drafts.draft(case, (), BETA_HOST, word)


def test_a_plain_vm_goes_as_it_is_with_its_new_image(libvirt: Libvirt) -> None:
    made = draft(portable=PLAIN)
    assert (made.open, made.against, made.agreed) == ((), "", ())
    assert NEW in made.portable
    assert NEW in made.persistent
    assert libvirt.checked == [made.portable, made.persistent]
    off = draft()
    assert (off.portable, libvirt.checked[2:]) == ("", [off.persistent])


@pytest.mark.parametrize("portable", ["", PLAIN, FOLDER])
def test_what_reaches_into_the_host_needs_a_word(libvirt: Libvirt, portable: str) -> None:
    made = draft(FOLDER, portable)
    assert [reach.words.partition(" (")[0] for reach in made.open] == ["a folder of the host"]
    assert libvirt.checked == []  # libvirt runs the emulator that a description names
    assert made.can_drop is not bool(portable)
    given = draft(FOLDER, portable, Word(OwnersWord.ACCEPT, made.code))
    assert given.open == ()
    assert "filesystem" in given.persistent
    assert given.agreed[0].startswith("The owner's word: it holds a folder of the host")


def test_a_vm_that_is_off_goes_without_it(libvirt: Libvirt) -> None:
    made = draft(FOLDER, word=Word(OwnersWord.DROP))
    assert made.open == ()
    assert "filesystem" not in made.persistent
    assert made.agreed[0].startswith("Left out: a folder of the host")


def test_from_a_running_vm_nothing_can_be_left_out(libvirt: Libvirt) -> None:
    assert draft(NOTE, NOTE, Word(OwnersWord.DROP)).open


def test_a_word_for_the_running_form_alone_is_not_enough(libvirt: Libvirt) -> None:
    running = draft(PLAIN, FOLDER)
    both = draft(NOTE, FOLDER, Word(OwnersWord.ACCEPT, running.code))
    assert len(both.open) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<name>web</name>", "<name>victim</name>"),
        ("11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"),
    ],
)
def test_it_takes_no_other_vms_place(libvirt: Libvirt, old: str, new: str) -> None:
    """libvirt's define replaces the domain of that UUID."""
    made = draft(PLAIN.replace(old, new), needs=PLAIN)
    assert "it is that of another VM" in made.against
    assert libvirt.checked == []


def test_an_image_is_opened_as_what_was_made(libvirt: Libvirt) -> None:
    lying = PLAIN.replace("type='qcow2'", "type='raw'")
    assert 'type="qcow2"' in draft(lying, lying, needs=PLAIN).portable
    bare = PLAIN.replace("<driver name='qemu' type='qcow2'/>", "")
    assert 'type="raw"' in draft(PLAIN, needs=bare).persistent


def test_what_libvirt_has_against_it_is_an_obstacle(libvirt: Libvirt) -> None:
    libvirt.against = "unsupported configuration: \x1b[31mno TPM"
    made = draft()
    found = fit.of_target(WEB, OFF, dataclasses.replace(BETA, draft=made))
    said = sentences(found, blocking=True)
    assert said == [
        'libvirt on beta does not take the description of web: "unsupported configuration: '
        '\\x1b[31mno TPM".'
    ]


def test_every_reach_is_an_obstacle_with_what_to_say(libvirt: Libvirt) -> None:
    made = draft(FOLDER)
    said = sentences(fit.of_target(WEB, OFF, dataclasses.replace(BETA, draft=made)), blocking=True)
    assert said[0].startswith("web would hold a folder of the host (filesystem: ")
    assert f"--accept-reach {made.code}" in said[1]
    assert "--drop-reach" in said[1]


@pytest.mark.parametrize(
    "inner",
    [
        "<hostdev mode='subsystem' type='pci'/>",
        "<interface type='hostdev'><mac address='52:54:00:00:00:01'/></interface>",
        "<filesystem type='mount'><source dir='/srv'/><target dir='hostsrv'/></filesystem>",
        "<filesystem/>",
        "<shmem name='a'/>",
        "<tpm model='tpm-tis'><backend type='passthrough'/></tpm>",
        "<redirdev bus='usb' type='tcp'/>",
        "<memory model='nvdimm'><source><path>/srv/nv</path></source></memory>",
    ],
)
def test_the_word_takes_away_all_that_a_device_of_the_host_has_against_it(
    libvirt: Libvirt, inner: str
) -> None:
    xml = device(inner)
    vm = dataclasses.replace(WEB, passthrough=move_xml.needs(xml).passthrough)
    assert vm.passthrough

    def against(word: Word) -> list[str]:
        beta = dataclasses.replace(BETA, draft=draft(xml, word=word))
        found = [*fit.of_vm(vm, OFF, "alpha", []), *fit.of_target(vm, OFF, beta)]
        return sentences(found, blocking=True)

    assert len(against(SILENCE)) == 2
    assert against(Word(OwnersWord.DROP)) == []
    assert against(Word(OwnersWord.ACCEPT, draft(xml).code)) == []


@pytest.mark.parametrize("xml", ["", "<domain", "<!DOCTYPE x><domain/>"])
def test_what_is_no_description_is_an_answer_in_words(libvirt: Libvirt, xml: str) -> None:
    if xml:
        with pytest.raises(UnsafeXml):
            draft(xml)
    else:
        assert draft(xml).persistent == ""


@pytest.mark.parametrize(
    ("source", "goes_to"),
    [
        ("/srv/images/web.qcow2", "/srv/images/web.qcow2"),
        ("/etc/cron.d/web", "/vms/web"),
        ("/root/.ssh/authorized_keys2", "/vms/authorized_keys2"),
        ("/srv/.hidden/web", "/vms/web"),
        ("/home/me/vms/web", "/home/me/vms/web"),
        ("/var/lib/libvirt/images/web", "/var/lib/libvirt/images/web"),
        ("/var/spool/cron/crontabs/root", "/vms/root"),
        ("//etc/cron.d/web", "/vms/web"),
    ],
)
def test_an_image_goes_to_a_folder_for_images(source: str, goes_to: str) -> None:
    """A host names the paths of its images; the other one acts on what lies in some folders."""
    folder = source.rpartition("/")[0]
    room = FolderRoom(exists=True, device=1, available_bytes=1, mount_point="/", read_only=False)
    disk = dataclasses.replace(WEB.disks[0], source=source)
    needs = dataclasses.replace(WEB, disks=(disk,))
    asked = AskedHost(BETA_HOST, "/vms", ("/home/me/vms",), (), SILENCE)
    source_facts = SourceFacts(needs, OFF, facts(active=False), {folder: room})
    assert _paths(source_facts, {folder: room}, asked) == {source: goes_to}


def test_uefi_variables_travel_from_libvirts_folder_alone() -> None:
    """They are written to the same path on the other host, as root."""
    for path in ("/etc/cron.d/x", "/var/lib/libvirt/qemu/nvram/../../../../../etc/cron.d/x"):
        said = sentences(
            fit.of_vm(dataclasses.replace(WEB, nvram=path), OFF, "alpha", []), blocking=True
        )
        assert [path in sentence for sentence in said] == [True]
    kept = dataclasses.replace(WEB, nvram="/var/lib/libvirt/qemu/nvram/web_VARS.fd")
    assert fit.of_vm(kept, OFF, "alpha", []) == []


def test_another_vms_uefi_variables_are_asked_for(libvirt: Libvirt) -> None:
    """The running form and the persistent one may name different files."""
    folder = "/var/lib/libvirt/qemu/nvram"
    mine = PLAIN.replace("</os>", f"<nvram>{folder}/web_VARS.fd</nvram></os>")
    assert draft(mine, mine, needs=mine).open == ()
    theirs = mine.replace("web_VARS", "victim_VARS")
    assert "victim_VARS.fd" in draft(theirs, mine, needs=mine).open[0].words


KERNEL = in_os("<kernel>/srv/boot/vmlinuz</kernel>")
CARDS = device(
    "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br9'/></interface>"
    "<interface type='network'><mac address='52:54:00:00:00:02'/><source network='default'/>"
    "</interface>"
)


def against(xml: str, word: Word, there: MoveTarget) -> list[Any]:
    made = draft(xml, word=word, needs=xml, there=there)
    found = fit.of_target(move_xml.needs(xml), OFF, dataclasses.replace(there, draft=made))
    return [one for one in found if one.blocking]


def test_a_missing_kernel_holds_nothing_back_once_it_is_left_out(libvirt: Libvirt) -> None:
    there = dataclasses.replace(THERE, missing=frozenset({"/srv/boot/vmlinuz"}))
    found = against(KERNEL, SILENCE, there)
    assert "The kernel /srv/boot/vmlinuz is missing on beta, and web needs it." in [
        one.sentence for one in found
    ]
    assert all(one.asks for one in found)
    assert against(KERNEL, Word(OwnersWord.DROP), there) == []


def test_a_missing_kernel_that_the_owner_keeps_still_holds_it_back(libvirt: Libvirt) -> None:
    there = dataclasses.replace(THERE, missing=frozenset({"/srv/boot/vmlinuz"}))
    given = Word(OwnersWord.ACCEPT, draft(KERNEL, needs=KERNEL, there=there).code)
    first, how = against(KERNEL, given, there)
    assert "The kernel /srv/boot/vmlinuz is missing" in first.sentence
    assert "--drop-reach leaves out of web what it needs" in how.sentence


def test_a_card_without_its_network_is_left_out_at_the_owners_word(libvirt: Libvirt) -> None:
    found = against(CARDS, SILENCE, THERE)
    assert found[0].sentence == "The bridge br9 is missing on beta."
    assert all(one.asks for one in found)
    made = draft(CARDS, word=Word(OwnersWord.DROP), needs=CARDS)
    assert "br9" not in made.persistent
    assert 'network="default"' in made.persistent
    assert made.agreed == ("Left out: the network card 52:54:00:00:00:01 (bridge br9).",)
    assert against(CARDS, Word(OwnersWord.DROP), THERE) == []


def test_from_a_running_vm_no_card_is_left_out(libvirt: Libvirt) -> None:
    made = draft(CARDS, CARDS, Word(OwnersWord.DROP), CARDS)
    assert "br9" in made.portable
    assert (made.needs, made.least) == (None, None)


def test_a_bridge_of_open_vswitch_is_an_interface_without_a_folder(libvirt: Libvirt) -> None:
    there = dataclasses.replace(THERE, interfaces=frozenset({"br9"}))
    assert against(CARDS, SILENCE, there) == []


def test_a_medium_on_the_network_stays_behind_while_the_vm_is_off(libvirt: Libvirt) -> None:
    far = device(
        "<disk type='network' device='cdrom'><source protocol='https' name='iso/x.iso'>"
        "<host name='192.0.2.9'/></source><target dev='hdc'/><readonly/></disk>"
    )
    made = draft(far, needs=far)
    assert made.open == ()
    assert "x.iso" not in made.persistent
    found = fit.of_target(move_xml.needs(far), OFF, dataclasses.replace(THERE, draft=made))
    assert sentences(found, blocking=False) == [
        "The medium iso/x.iso in hdc is not a file of a host; hdc will be empty on beta."
    ]
    assert "x.iso" in draft(far, far, needs=far).portable
