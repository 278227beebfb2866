"""What in a VM's definition reaches into its host? Pure: the definition in, each reach out.

Everything that hosts.rules.definition.harmless does not list is one, so that what this panel has
never heard of is one too.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from hosts.rules.definition.harmless import HARMLESS, REMEMBERED, Allowed
from hosts.rules.definition.reach_words import canonical, words
from hosts.rules.definition.shapes import Setting, fits
from labpanel.lib.definition import DefinitionPath, Node, Reach

# What programs remember of a VM is some hundred bytes; libvirt keeps all of it in memory.
MOST_REMEMBERED = 64 << 10
# More than an owner reads, and more than any VM in use has.
MOST_FAULTS = 300
_ANYTHING = Allowed({}, text="", below=True)
# Elements whose children are told, and left out, one by one.
_CONTAINERS = ("os", "devices", "metadata", "memoryBacking", "features", "cputune", "blkiotune")
# Parts of a device that it can be had without.
_PARTS = (("log",), ("listen",), ("rom",), ("backingStore",), ("disk", "source"))
_OWN_ATTRIBUTES = ("listen", "socket")
_MEDIA = ("cdrom", "floppy")


def reaches(
    root: Node, ours: Collection[str] = (), folders: Collection[str] = ()
) -> tuple[Reach, ...]:
    """In the order of the definition. `ours` are the files and sockets that the panel itself put
    into it, `folders` the destination's folders for images, where a medium may lie."""
    if root.tag != "domain":
        return (_reach(root, DefinitionPath(()), [DefinitionPath(())]),)
    walk = _Walk(frozenset(ours), frozenset(folders))
    faults = list(islice(walk.faults(root), MOST_FAULTS + 1))
    if len(faults) > MOST_FAULTS:
        said = f"more than {MOST_FAULTS} things that no VM needs"
        return (Reach(f" {canonical(root)}", said, DefinitionPath(())),)
    units = {_unit(root, fault) for fault in faults}
    whole = {unit.steps for unit in units if not unit.attribute}
    outer = [unit for unit in units if not _covered(unit, whole)]
    return tuple(_reach(root, unit, faults) for unit in sorted(outer, key=_order))


def _order(place: DefinitionPath) -> tuple[tuple[int, ...], str]:
    return place.steps, place.attribute


def _covered(unit: DefinitionPath, whole: Collection[tuple[int, ...]]) -> bool:
    """Whether something further out goes as a whole."""
    above = unit.steps if unit.attribute else unit.steps[:-1]
    return any(above[:length] in whole for length in range(1, len(above) + 1))


class _Walk:
    """One pass over a definition."""

    def __init__(self, ours: frozenset[str], folders: frozenset[str]) -> None:
        self._ours, self._folders = ours, folders

    def faults(self, root: Node) -> Iterator[DefinitionPath]:
        yield from self._of(root, HARMLESS["."], "", (), (root,))

    def _of(
        self,
        node: Node,
        allowed: Allowed,
        path: str,
        steps: tuple[int, ...],
        line: tuple[Node, ...],
    ) -> Iterator[DefinitionPath]:
        yield from self._values(node, allowed, steps, line)
        for number, child in enumerate(node.children):
            below, there = f"{path}/{child.tag}".removeprefix("/"), (*steps, number)
            if path == "metadata":
                if not _is_remembered(child):
                    yield DefinitionPath(there)
                continue
            listed = _allowed(below, allowed)
            if listed is None:
                yield DefinitionPath(there)
            else:
                yield from self._of(child, listed, below, there, (*line, child))

    def _values(
        self, node: Node, allowed: Allowed, steps: tuple[int, ...], line: tuple[Node, ...]
    ) -> Iterator[DefinitionPath]:
        setting = Setting(self._ours, self._folders, line)
        for name, value in node.attributes:
            shape = "" if allowed.below else allowed.attributes.get(name)
            if shape is None or not fits(shape, value, setting):
                yield DefinitionPath(steps, name)
        text = node.text.strip() if allowed.text is None or allowed.below else node.text
        if text and (allowed.text is None or not fits(allowed.text, text, setting)):
            yield DefinitionPath(steps)


def _allowed(path: str, above: Allowed) -> Allowed | None:
    if above.below:
        return _ANYTHING
    found = HARMLESS.get(path)
    if found is None and path.startswith("devices/") and path.count("/") == 2:
        found = HARMLESS.get(f"devices/*/{path.rpartition('/')[2]}")
    return _ANYTHING if found is not None and found.below else found


def _is_remembered(node: Node) -> bool:
    space = node.tag.removeprefix("{").partition("}")[0]
    return space in REMEMBERED and len(canonical(node)) <= MOST_REMEMBERED


def _unit(root: Node, fault: DefinitionPath) -> DefinitionPath:
    """The smallest whole that the definition can be had without: for the most part a device."""
    line = _line(root, fault.steps)
    if len(line) < 2:
        return DefinitionPath(())
    if line[1].tag not in _CONTAINERS:
        return DefinitionPath(fault.steps[:1])
    if len(line) == 2:
        return (
            DefinitionPath(fault.steps, fault.attribute) if fault.attribute else DefinitionPath(())
        )
    if line[1].tag == "devices":
        return _of_device(line, fault)
    return DefinitionPath(fault.steps[:2])


def _of_device(line: list[Node], fault: DefinitionPath) -> DefinitionPath:
    tags = tuple(node.tag for node in line[2:])
    if tags == ("graphics",) and fault.attribute in _OWN_ATTRIBUTES:
        return fault
    if len(tags) == 1:
        return DefinitionPath(fault.steps[:2])
    part = tags[1:2] in _PARTS or tags[:2] in _PARTS
    if part and tags[:2] == ("disk", "source"):
        part = line[2].get("device") in _MEDIA
    unheard = not fault.attribute and _path(line) not in HARMLESS
    if unheard:
        return fault
    return DefinitionPath(fault.steps[:3]) if part else DefinitionPath(fault.steps[:2])


def _path(line: list[Node]) -> str:
    return "/".join(node.tag for node in line[1:])


def _line(root: Node, steps: tuple[int, ...]) -> list[Node]:
    line = [root]
    for step in steps:
        line.append(line[-1].children[step])
    return line


def _reach(root: Node, place: DefinitionPath, all_faults: Sequence[DefinitionPath]) -> Reach:
    faults = [fault for fault in all_faults if _belongs(fault, place)]
    line = _line(root, place.steps)
    path, node = _path(line), _without_slot(line)
    if place.attribute:
        node = _only(node, place.attribute)
    elif not place.steps:
        node = Node(node.tag, node.attributes, "".join(canonical(_odd(root, f)) for f in faults))
    odd = [_odd(root, fault) for fault in faults]
    return Reach(f"{path} {canonical(node)}", words(line, node, odd), place)


def _belongs(fault: DefinitionPath, unit: DefinitionPath) -> bool:
    if unit.attribute:
        return fault == unit
    within = fault.steps[: len(unit.steps)] == unit.steps
    return within if unit.steps else not fault.steps or len(fault.steps) == 1


def _odd(root: Node, fault: DefinitionPath) -> Node:
    """What is told of one fault: an attribute, an odd text, or an unknown element."""
    line = _line(root, fault.steps)
    node = line[-1]
    if fault.attribute:
        return _only(node, fault.attribute)
    return Node(node.tag, (), node.text) if _path(line) in HARMLESS or len(line) == 1 else node


def _only(node: Node, attribute: str) -> Node:
    return Node(node.tag, ((attribute, node.get(attribute)),))


def _without_slot(line: Sequence[Node]) -> Node:
    """Where libvirt plugged a device in does not make it another one."""
    node = line[-1]
    if len(line) != 3 or line[1].tag != "devices":
        return node
    kept = tuple(child for child in node.children if child.tag not in {"alias", "address"})
    return Node(node.tag, node.attributes, node.text, kept)
