"""libvirt's words as they reach an owner. The messages are libvirt's own."""

import pytest

from labpanel.adapters.libvirt.words import lost, no_agent, refused


@pytest.mark.parametrize(
    ("call", "message", "said"),
    [
        (
            "migrate",
            "internal error: client socket is closed",
            "A connection that libvirt on alpha needed to migrate the VM was lost. "
            'libvirt says "internal error: client socket is closed".',
        ),
        (
            "migrate",
            "operation failed: job 'migration out' failed: Cannot write data: Broken pipe",
            "A connection that libvirt on alpha needed to migrate the VM was lost. libvirt says "
            "\"operation failed: job 'migration out' failed: Cannot write data: Broken pipe\".",
        ),
        (
            "start",
            "internal error: process exited while connecting to monitor:\nqemu: no such file.",
            'libvirt on alpha refused to start a VM: "internal error: process exited while '
            'connecting to monitor:; qemu: no such file".',
        ),
        ("some_call", "no", 'libvirt on alpha refused `some_call`: "no".'),
    ],
)
def test_refused(call: str, message: str, said: str) -> None:
    assert refused("alpha", call, message) == said


def test_lost() -> None:
    assert lost("alpha", "Cannot recv data: Connection reset by peer") == (
        "The connection to libvirt on alpha was lost. "
        'libvirt says "Cannot recv data: Connection reset by peer".'
    )


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "argument unsupported: QEMU guest agent is not configured",
            "no guest agent is configured",
        ),
        (
            "Guest agent is not responding: QEMU guest agent is not connected",
            "its guest agent does not answer",
        ),
        ("internal error: freeze failed", 'its guest agent says "internal error: freeze failed"'),
        ("not asked for", "not asked for"),
        ("", ""),
    ],
)
def test_why_a_guest_did_not_hold_still(message: str, said: str) -> None:
    assert no_agent(message) == said
