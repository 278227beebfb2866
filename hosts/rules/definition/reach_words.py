"""What reaches into a host, in words for the owner. Pure."""

import json
from collections.abc import Iterator, Sequence

from labpanel.lib.definition import Node
from labpanel.lib.printable import printable

_LONGEST = 300
_SECRET = frozenset({"passwd", "password"})
_SERIAL = "a port to a file, device or socket of the host"
# Keys are what stands in the definition; the first that fits counts.
_WORDS = {
    "filesystem": "a folder of the host",
    "hostdev": "a device of the host",
    "shmem": "memory that is shared on the host",
    "emulator": "a program of the host as its emulator",
    "kernel": "a kernel file of the host",
    "initrd": "a kernel file of the host",
    "cmdline": "arguments to a kernel of the host",
    "dtb": "a device tree file of the host",
    "acpi": "ACPI tables from files of the host",
    "loader": "firmware outside the host's firmware folders, or written to",
    "nvram": "a file of the host as its UEFI variables",
    "serial": _SERIAL,
    "console": _SERIAL,
    "parallel": _SERIAL,
    "channel": _SERIAL,
    "log": "a log file of the host",
    "backingStore": "a file of the host below a disk",
    "disk": "a disk that the panel did not make",
    "source": "a medium outside the host's folders for images",
    "interface": "a network card past the host's networks and bridges",
    "script": "a program that the host runs for a network card",
    "downscript": "a program that the host runs for a network card",
    "backend": "a back end of the host",
    "rng": "random numbers from elsewhere",
    "tpm": "a TPM outside the VM",
    "smartcard": "a smart card of the host",
    "redirdev": "USB devices from a socket of the host",
    "input": "an input device of the host",
    "graphics": "a screen that listens beyond the host itself",
    "listen": "a screen that listens beyond the host itself",
    "video": "a graphics card of the host",
    "audio": "a sound system of the host",
    "vsock": "a socket to the host",
    "memory": "memory on a file of the host",
    "memoryBacking": "memory of a special kind of the host",
    "hugepages": "huge pages of the host",
    "locked": "memory that the host cannot swap out",
    "seclabel": "security labels of its own",
    "launchSecurity": "encrypted memory of the host's processor",
    "resource": "a control group of its own",
    "sysinfo": "files of the host as firmware configuration",
    "metadata": "metadata that a hook of the host may act on",
    "on_crash": "a memory dump on the host when it crashes",
    "watchdog": "a memory dump on the host when it hangs",
    "perf": "performance counters of the host",
    "encryption": "a secret of the host",
    "auth": "a secret of the host",
}
_COMMAND_LINE = "{http://libvirt.org/schemas/domain/qemu/1.0}commandline"


def words(line: Sequence[Node], whole: Node, odd: Sequence[Node]) -> str:
    """`line` leads from the definition to what is told, `whole`; where that is too long, the parts
    of it that are not harmless (`odd`) are told first:
    `a folder of the host (filesystem: type=mount, source dir=/, target dir=share)`."""
    tags = [node.tag for node in line[1:]]
    text = _flat(whole)
    if len(text) > _LONGEST:
        text = ", ".join([*(_flat(node) for node in odd), text])
    return f"{_kind(tags)} ({printable(text, _LONGEST)})"


def _kind(tags: Sequence[str]) -> str:
    if tags[:1] == [_COMMAND_LINE]:
        return "arguments of its own to QEMU"
    if tags[:1] == ["metadata"]:
        return _WORDS["metadata"]
    for tag in reversed(tags):
        if tag in _WORDS:
            return _WORDS[tag]
    return "something that the panel does not know" if tags else "another kind of hypervisor"


def _flat(node: Node) -> str:
    parts = [part for part in (_own(node), *_below(node)) if part]
    return f"{_local(node)}: {', '.join(parts)}" if parts else _local(node)


def _below(node: Node) -> Iterator[str]:
    for child in node.children:
        said = _own(child)
        if said or not child.children:
            yield f"{_local(child)} {said}".strip()
        yield from _below(child)


def _own(node: Node) -> str:
    said = " ".join(f"{name}={_value(name, value)}" for name, value in node.attributes)
    return f"{node.text.strip()} {said}".strip()


def _value(name: str, value: str) -> str:
    return "…" if name in _SECRET else value


def _local(node: Node) -> str:
    return node.tag.rpartition("}")[2]


def canonical(node: Node) -> str:
    """The same text for the same content, whatever the order of attributes and the blanks
    between elements; another text for anything else."""
    return json.dumps(_listed(node), ensure_ascii=True, separators=(",", ":"))


def _listed(node: Node) -> list[object]:
    text = node.text if node.text.strip() else ""
    return [node.tag, sorted(node.attributes), text, [_listed(child) for child in node.children]]
