"""Whose a VM is when two hosts report the same UUID. Pure."""

# A guest that is paused is not running: the receiving end of a move waits in this state.
RUNNING = frozenset({"running", "blocked", "in shutdown"})


def claims(owner_state: str, other_state: str) -> bool:
    """Whether another host's report of a VM contradicts its owner's.

    The receiving end of a migration has the VM paused while its owner still runs it; everything
    else must not be. A report is no evidence of which of two hosts is right: a program with root on
    a host has it report what it likes.
    """
    return not (other_state == "paused" and owner_state in RUNNING)
