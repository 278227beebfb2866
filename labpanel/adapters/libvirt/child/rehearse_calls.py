"""Calls that boot a domain which lives no longer than this connection, and look at its screen."""

import base64
import contextlib
from collections.abc import Callable
from typing import Any

import libvirt

from labpanel.adapters.answers import safe_xml

_CHUNK = 1 << 16  # what libvirt carries in one message of a stream is less than 256 KiB
_started: set[str] = set()  # by this very child: they end with its connection
_MOST_BYTES = 7 << 20  # a screen of 1920 × 1200 in three bytes a pixel is 6.6 MiB


def qemu_owner(connection: libvirt.virConnect) -> list[int] | None:
    """[user, group] that libvirt runs QEMU under; None if it does not say (no DAC driver)."""
    root = safe_xml.parse(connection.getCapabilities())
    for model in root.iterfind("host/secmodel"):
        if model.findtext("model") == "dac":
            label = model.findtext("baselabel", "")
            user, _, group = label.replace("+", "").partition(":")
            return [int(user), int(group)] if user.isdigit() and group.isdigit() else None
    return None


def start_transient(connection: libvirt.virConnect, xml: str) -> dict[str, Any]:
    """Boot a domain that libvirt destroys when this connection ends, however it ends."""
    domain = connection.createXML(xml, libvirt.VIR_DOMAIN_START_AUTODESTROY)
    _started.add(domain.UUIDString())
    return {"uuid": domain.UUIDString(), "id": domain.ID()}


def transient_state(connection: libvirt.virConnect, uuid: str) -> dict[str, Any]:
    """`{"mine", "known", "state"}`. `mine` is False where another child had started it: then it
    was libvirt that ended it, with that child's connection, and not the guest."""
    try:
        current, _ = connection.lookupByUUIDString(uuid).state()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return {"mine": uuid in _started, "known": False, "state": None}
    return {"mine": uuid in _started, "known": True, "state": current}


def end_transient(connection: libvirt.virConnect, uuid: str) -> bool:
    """Pull the plug of such a domain; False if it is gone already. One that is defined is none of
    ours and is left alone."""
    try:
        domain = connection.lookupByUUIDString(uuid)
        if domain.isPersistent():
            return False
        domain.destroy()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return False
    return True


def screenshot(connection: libvirt.virConnect, uuid: str) -> str:
    """The guest's screen as QEMU draws it (a PPM or PNG file), in base64."""
    stream = connection.newStream(0)
    connection.lookupByUUIDString(uuid).screenshot(stream, 0, 0)
    content = bytearray()
    try:
        while chunk := stream.recv(_CHUNK):
            content += chunk
            if len(content) > _MOST_BYTES:
                stream.abort()
                return ""
        stream.finish()
    except libvirt.libvirtError:
        with contextlib.suppress(libvirt.libvirtError):
            stream.abort()
        raise
    encoded = base64.b64encode(content)
    content.clear()
    return encoded.decode("ascii")


CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (qemu_owner, start_transient, transient_state, end_transient, screenshot)
}
