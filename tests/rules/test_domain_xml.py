"""libvirt's domain XML, and names that are made to break their readers."""

from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labpanel.adapters.libvirt.xml.domain_xml import Disk, parse

# What XML 1.0 can hold: libvirt refuses the rest, and "/" and newlines in names.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=40,
)


def disk(inner: str, **attributes: str) -> Disk:
    words = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    xml = f"<domain><name>x</name><devices><disk {words}>{inner}</disk></devices></domain>"
    return parse(xml).disks[0]


@given(name=TEXT, path=TEXT)
def test_any_name_and_path_come_through_as_they_are(name: str, path: str) -> None:
    found = parse(
        f"<domain><name>{escape(name)}</name><devices><disk type='file'>"
        f"<source file={quoteattr(path)}/><target dev='vda'/></disk></devices></domain>"
    )
    assert (found.name, found.disks[0].source) == (name, path)


@given(chain=st.lists(TEXT, max_size=6), ended=st.booleans())
def test_a_chain_of_any_depth_is_read_from_the_top(chain: list[str], ended: bool) -> None:
    inner = "<backingStore/>" if ended else ""
    for path in reversed(chain):
        inner = f"<backingStore type='file'><source file={quoteattr(path)}/>{inner}</backingStore>"
    found = disk(f"<source file='/top'/><target dev='vda'/>{inner}", type="file")
    assert found.backing_chain == tuple(chain)
    assert found.chain_known is ended


@pytest.mark.parametrize("text", ["", "<domain", "<network/>", "not xml", "\x00"])
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        parse(text)


@pytest.mark.parametrize(
    ("kind", "inner", "expected"),
    [
        ("file", "<source file='/a.qcow2'/>", "/a.qcow2"),
        ("block", "<source dev='/dev/vg/a'/>", "/dev/vg/a"),
        ("network", "<source protocol='rbd' name='pool/a'><host name='h'/></source>", "rbd:pool/a"),
        ("volume", "<source pool='default' volume='a'/>", "default/a"),
        ("file", "", ""),
    ],
)
def test_every_kind_of_source(kind: str, inner: str, expected: str) -> None:
    found = disk(f"{inner}<target dev='sda' bus='sata'/>", type=kind)
    assert (found.kind, found.source, found.bus) == (kind, expected, "sata")


def test_flags_of_a_disk() -> None:
    plain = disk("<driver type='raw'/><target dev='vda'/>", type="file", device="disk")
    assert not (plain.iothread or plain.shareable or plain.read_only or plain.transient)
    inner = (
        "<driver type='qcow2' iothread='1'/><target dev='vda'/><serial>S 1</serial>"
        "<shareable/><readonly/><transient/>"
    )
    found = disk(inner, type="file", device="lun")
    assert found.iothread
    assert found.shareable
    assert found.read_only
    assert found.transient
    assert (found.serial, found.format, found.device) == ("S 1", "qcow2", "lun")
    several = "<driver><iothreads><iothread id='1'/></iothreads></driver><target dev='vda'/>"
    assert disk(several, type="file").iothread


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ("<memory>1024</memory>", 2**20),
        ("<memory unit='KiB'>1024</memory>", 2**20),
        ("<memory unit='GiB'>2</memory>", 2**31),
        ("<memory unit='MB'>1</memory>", 10**6),
        ("", 0),
    ],
)
def test_units_of_memory(memory: str, expected: int) -> None:
    assert parse(f"<domain>{memory}</domain>").memory_bytes == expected


def test_what_stands_beside_the_disks() -> None:
    found = parse(
        "<domain><vcpu current='2'>8</vcpu><os><nvram>/var/nvram.fd</nvram></os><devices>"
        "<tpm model='tpm-crb'/><hostdev/><hostdev/><interface type='network'>"
        "<mac address='52:54:00:00:00:01'/><source network='lan'/><model type='virtio'/>"
        "</interface><interface type='user'/></devices></domain>"
    )
    assert (found.vcpus, found.nvram, found.tpm, found.passthrough) == (2, "/var/nvram.fd", True, 2)
    assert [(nic.kind, nic.source) for nic in found.nics] == [("network", "lan"), ("user", "")]
