"""What a VM may hold without a question, and what is told to the owner."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.rules.definition.harmless import HARMLESS
from hosts.rules.definition.reaches import reaches
from lab.guestxml import GUESTS, domain_xml
from lab.layout import Layout
from labpanel.adapters.answers.safe_xml import UnsafeXml
from labpanel.adapters.libvirt.xml.definition_xml import read, without
from labpanel.lib.definition import DefinitionPath, Node, code_of, unknown
from labpanel.lib.printable import printable
from tests.rules.definitions.cases import EVIL, HARMLESS_ONES, IMAGE, PLAIN, device

NVRAM = "/var/lib/libvirt/qemu/nvram/win_VARS.fd"
CASES = Path(__file__).with_name("definitions")


def told(xml: str, ours: tuple[str, ...] = (IMAGE,), folders: tuple[str, ...] = ()) -> list[str]:
    return [reach.words for reach in reaches(read(xml), ours, folders)]


@pytest.mark.parametrize("guest", GUESTS, ids=lambda guest: guest.name)
def test_the_practice_guests_ask_nothing(guest: object) -> None:
    xml = domain_xml(Layout("t", 1), guest)  # type: ignore[arg-type]
    paths = tuple(f"/srv/images/{disk.file}" for disk in guest.disks)  # type: ignore[attr-defined]
    assert told(xml, paths) == []


@pytest.mark.parametrize("name", ["virt-install", "virt-manager-uefi", "cockpit", "migratable"])
def test_what_the_usual_programs_write_asks_nothing(name: str) -> None:
    assert told((CASES / f"{name}.xml").read_text(), (IMAGE, NVRAM)) == []


@pytest.mark.parametrize("name", HARMLESS_ONES)
def test_harmless_things_ask_nothing(name: str) -> None:
    assert told(HARMLESS_ONES[name]) == []


@pytest.mark.parametrize("name", EVIL)
def test_what_reaches_into_the_host_is_told(name: str) -> None:
    xml, word = EVIL[name]
    found = told(xml)
    assert len(found) == 1
    assert word in found[0]


DROPPABLE = sorted(set(EVIL) - {"another hypervisor", "what is not a domain", "another's image"})


@pytest.mark.parametrize("name", DROPPABLE)
def test_what_reaches_can_be_left_out(name: str) -> None:
    xml, _ = EVIL[name]
    left = without(xml, [reach.place for reach in reaches(read(xml), (IMAGE,))])
    assert told(left) == []


def test_only_the_part_that_reaches_is_left_out() -> None:
    xml = device(
        "<disk type='file' device='cdrom'><source file='/etc/shadow'/><target dev='sda'/></disk>"
        "<graphics type='vnc' listen='0.0.0.0'/>"
        "<serial type='pty'><log file='/x'/></serial>"
    )
    left = without(xml, [reach.place for reach in reaches(read(xml), (IMAGE,))])
    root = ElementTree.fromstring(left)  # noqa: S314 - our own
    assert root.find("devices/disk[@device='cdrom']/target") is not None
    assert root.find("devices/graphics[@type='vnc']") is not None
    assert root.find("devices/serial") is not None
    assert "/x" not in left
    assert "0.0.0.0" not in left  # noqa: S104 - a text that must be gone


def test_another_kind_of_hypervisor_cannot_be_left_out() -> None:
    (reach,) = reaches(read(PLAIN.replace("type='kvm'", "type='xen'")), (IMAGE,))
    assert not reach.droppable


def test_the_same_device_is_known_wherever_libvirt_plugged_it_in() -> None:
    folder = "<filesystem type='mount'><source dir='/srv'/><target dir='x'/>{}</filesystem>"
    address = "<address type='pci' slot='0x05'/><alias name='fs0'/>"
    known = {reach.what for reach in reaches(read(device(folder.format(address))), (IMAGE,))}
    same = reaches(read(device(folder.format(""))), (IMAGE,))
    other = reaches(read(device(folder.format("").replace("/srv", "/"))), (IMAGE,))
    assert unknown(same, known) == ()
    assert unknown(other, known) == other


def test_a_code_stands_for_one_list() -> None:
    lists = [reaches(read(xml), (IMAGE,)) for xml, _ in EVIL.values()]
    codes = {code_of(found) for found in lists}
    assert len(codes) == len({tuple(reach.what for reach in found) for found in lists})
    assert code_of(()) == ""
    assert code_of(lists[0]) == code_of([*lists[0], *lists[0]])


def test_nothing_hides_behind_a_long_beginning() -> None:
    (said,) = told(device(f"<gadget a='{'harmless ' * 90}' b='/etc/shadow'/>"))
    assert said.endswith("characters))")


def test_more_than_anybody_reads_is_told_as_one() -> None:
    found = reaches(read(device("<gadget/>" * 10_000)), (IMAGE,))
    assert [reach.droppable for reach in found] == [False]


def test_secrets_are_not_told() -> None:
    xml = device("<graphics type='dbus' passwd='hunter2'/>")
    assert "hunter2" not in told(xml)[0]


def test_words_hold_no_control_characters() -> None:
    (said,) = told(device("<filesystem><source dir='/&#x202e;x&#x9b;'/></filesystem>"))
    assert printable(said) == said


def test_every_line_of_the_table_is_read() -> None:
    assert HARMLESS["devices/disk/driver"].attributes["iothread"] == ""
    assert HARMLESS["devices/console/log"].attributes == {"file": "<log>", "append": ""}
    assert HARMLESS["features"].below
    assert HARMLESS["os/type"].text == "hvm"


names = st.sampled_from(
    sorted({part for path in HARMLESS for part in path.split("/")} - {".", "*"})
)
odd = st.one_of(
    st.sampled_from(["/etc/shadow", "..", "yes", "pci", "unix", "0"]), st.text(max_size=8)
)
nodes = st.recursive(
    st.builds(Node, names, st.lists(st.tuples(names, odd), max_size=3).map(tuple), odd),
    lambda below: st.builds(
        Node,
        names,
        st.lists(st.tuples(names, odd), max_size=3).map(tuple),
        odd,
        st.lists(below, max_size=4).map(tuple),
    ),
    max_leaves=12,
)


@given(nodes, st.lists(st.integers(0, 9), max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_tree_is_judged_and_what_is_unheard_of_is_told(tree: Node, way: list[int]) -> None:
    root = Node("domain", (), "", (tree, *read(PLAIN).children))
    assert all(printable(one.words) == one.words for one in reaches(root, (IMAGE,)))
    steps = _somewhere(root, way)
    after = reaches(_with(root, steps, Node("unheard-of")), (IMAGE,))
    places = [reach.place.steps for reach in after]
    assert any(steps[: len(place)] == place or place[:-1] == steps for place in places)


def _somewhere(node: Node, way: list[int]) -> tuple[int, ...]:
    """An element of the tree, but none in which any plain word may stand."""
    steps: tuple[int, ...] = ()
    path = ""
    for number in way:
        if not node.children:
            break
        chosen = number % len(node.children)
        path = f"{path}/{node.children[chosen].tag}".strip("/")
        if path in HARMLESS and HARMLESS[path].below:
            break
        steps, node = (*steps, chosen), node.children[chosen]
    return steps


def _with(node: Node, steps: tuple[int, ...], child: Node) -> Node:
    if not steps:
        return Node(node.tag, node.attributes, node.text, (*node.children, child))
    children = list(node.children)
    children[steps[0]] = _with(children[steps[0]], steps[1:], child)
    return Node(node.tag, node.attributes, node.text, tuple(children))


@pytest.mark.parametrize(
    "xml", ["", "<domain>", "x", "<!DOCTYPE d><domain/>", "<domain>\0</domain>"]
)
def test_what_is_no_xml_is_refused_in_words(xml: str) -> None:
    with pytest.raises(UnsafeXml):
        read(xml)


def test_places_of_an_empty_list_change_nothing_that_counts() -> None:
    assert read(without(PLAIN, [])) == read(PLAIN)
    assert DefinitionPath(()).steps == ()
