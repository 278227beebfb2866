"""Calls that ask libvirt about definitions and change nothing."""

import contextlib
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import libvirt

from labpanel.adapters.answers import safe_xml

_FORMAT = "qemu-argv"
# No name of a QEMU domain holds a slash (VIR_DOMAIN_DEF_FEATURE_NAME_SLASH): libvirt checks the
# schema first and then refuses the name, so that nothing is ever defined under it.
_IMPOSSIBLE = "labpanel/check"


def own_definition(connection: libvirt.virConnect, uuid: str) -> str:
    """The persistent definition that this host has of the domain; empty if it has none."""
    try:
        domain = connection.lookupByUUIDString(uuid)
        flags = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE
        return str(domain.XMLDesc(flags)) if domain.isPersistent() else ""
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return ""


def check_definition(connection: libvirt.virConnect, xml: str) -> str:
    """What libvirt has against the definition; empty if nothing.

    It is read and made into QEMU's command line, which is thrown away: that finds what this host
    cannot do (machine, CPU, firmware, TPM, secrets, devices that contradict one another). Then its
    schema is asked. No file is opened or made; QEMU's own program is asked what it can do.
    """
    for check in (_buildable, _by_schema):
        against = check(connection, xml)
        if against:
            return " ".join(against.split())
    return ""


def _buildable(connection: libvirt.virConnect, xml: str) -> str:
    try:
        connection.domainXMLToNative(_FORMAT, xml, 0)
    except libvirt.libvirtError as error:
        if not _is_answer(connection, error):
            raise
        return str(error.get_error_message())
    return ""


def _by_schema(connection: libvirt.virConnect, xml: str) -> str:
    root = safe_xml.parse(xml)
    for name in root.findall("name"):
        name.text = _IMPOSSIBLE
    nameless = ElementTree.tostring(root, encoding="unicode")
    try:
        domain = connection.defineXMLFlags(nameless, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    except libvirt.libvirtError as error:
        if not _is_answer(connection, error):
            raise
        wrong = error.get_error_code() == libvirt.VIR_ERR_XML_INVALID_SCHEMA
        return str(error.get_error_message()) if wrong else ""
    with contextlib.suppress(libvirt.libvirtError):
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)
    return "this libvirt takes a name with a slash, so that definitions cannot be checked"


def _is_answer(connection: libvirt.virConnect, error: libvirt.libvirtError) -> bool:
    """Whether it says something of the definition, and not of the connection."""
    never = {libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_AUTH_FAILED, libvirt.VIR_ERR_RPC}
    return error.get_error_code() not in never and bool(connection.isAlive())


CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (own_definition, check_definition)
}
