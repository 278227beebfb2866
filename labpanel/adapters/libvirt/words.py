"""What libvirt said no to, and a connection that was lost, in plain words."""

from labpanel.lib.quoted import quoted

NOT_ASKED = "not asked for"  # libvirt/child/backup_calls.py, where no freeze was wanted
# What the panel asked for, by the name of the call.
_ASKED = {
    "backup_begin": "to begin a backup",
    "define": "to define a VM",
    "destroy": "to cut a VM's power",
    "inventory": "to list its VMs",
    "migrate": "to migrate the VM",
    "reboot": "to reboot a VM",
    "reset": "to reset a VM",
    "resume": "to resume a VM",
    "shutdown": "to shut a VM down",
    "start": "to start a VM",
    "thaw": "to thaw a guest",
    "undefine": "to undefine a VM",
}
# Ends of a connection (libvirt: src/rpc/virnetsocket.c, virnetclient.c, virkeepalive.c;
# the error is that of the far side too when libvirt itself was connected to another host).
_LOST = (
    "client socket is closed",
    "end of file while reading data",
    "cannot recv data",
    "cannot write data",
    "broken pipe",
    "connection reset by peer",
    "connection closed due to keepalive timeout",
    "no route to host",
)


def is_lost(message: str) -> bool:
    said = message.lower()
    return any(each in said for each in _LOST)


def lost(host: str, message: str) -> str:
    return f"The connection to libvirt on {host} was lost. libvirt says {quoted(message)}."


def refused(host: str, call: str, message: str) -> str:
    """A migration's message of a lost connection is about the way to the other host."""
    if is_lost(message):
        return (
            f"A connection that libvirt on {host} needed {_ASKED.get(call, f'for {call}')} was "
            f"lost. libvirt says {quoted(message)}."
        )
    return f"libvirt on {host} refused {_ASKED.get(call, f'`{call}`')}: {quoted(message)}."


def no_agent(message: str) -> str:
    """Why a guest could not be asked to hold still, in our words where they say the same
    (qemuDomainAgentAvailable in src/qemu/qemu_domain.c); otherwise in libvirt's."""
    if message == NOT_ASKED:
        return message
    said = message.lower()
    if "agent is not configured" in said:
        return "no guest agent is configured"
    if "agent is not connected" in said or "agent is not responding" in said:
        return "its guest agent does not answer"
    if "agent is not available" in said or "agent not available" in said:
        return "its guest agent is not available"
    return f"its guest agent says {quoted(message)}" if message else ""
