"""Whose a VM is when two hosts report the same UUID."""

# A guest that is paused is not running: the receiving end of a move waits in this state.
RUNNING = frozenset({"running", "blocked", "in shutdown"})


def takes_over(
    owner_state: str, other_state: str, *, owner_missing: bool, owner_reports: bool
) -> bool:
    """Whether the other host's report makes the VM its own.

    The host that runs it wins; else the owner keeps it while it still has it. Where the owner
    cannot be asked (`owner_reports` is False), a copy that runs elsewhere is the better evidence,
    one that is off is none.
    """
    if owner_missing:
        return True
    if other_state in RUNNING:
        return owner_state not in RUNNING or not owner_reports
    return False
