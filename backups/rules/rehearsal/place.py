"""Which host rehearses, and how much of it the guest may take. Pure."""

from dataclasses import dataclass

_MIB, _GIB = 1 << 20, 1 << 30
# What is left to the host besides: its own VMs' page cache and growth.
_LEAST_MARGIN, _MARGIN_PART = 256 * _MIB, 16
# A guest that gets less than a quarter of its memory may fail for that and not for its copy.
_LEAST_PART, _LEAST_MEMORY = 4, 64 * _MIB
# libguestfs's appliance, and what the emulator around it takes besides.
_APPLIANCE, _AROUND = 512 * _MIB, 512 * _MIB
_LEAST_SCRATCH, _MOST_SCRATCH = 128 * _MIB, 8 * _GIB


@dataclass(frozen=True, slots=True)
class RehearsalCandidate:
    """A host that may rehearse. `against` says why it should not, or is empty."""

    name: str
    has_store: bool
    is_source: bool
    against: str = ""


def order(candidates: list[RehearsalCandidate]) -> list[RehearsalCandidate]:
    """Best first: where the store is, since then nothing crosses the network; the host that runs
    the VM last, since it has work to do already. Hosts that something speaks against are out."""
    fit = [candidate for candidate in candidates if not candidate.against]
    return sorted(fit, key=lambda one: (not one.has_store, one.is_source, one.name))


@dataclass(frozen=True, slots=True)
class Share:
    """What the guest gets. `why_not` says why this host cannot, and is empty if it can."""

    memory_bytes: int = 0
    vcpus: int = 1
    scratch_bytes: int = 0
    why_not: str = ""


def share(
    *,
    wanted_memory: int,
    wanted_vcpus: int,
    memory_bytes: int,
    available_bytes: int,
    cpus: int,
    free_bytes: int,
) -> Share:
    """The guest's memory, CPUs and scratch space on a host with so much to spare; all in bytes.

    As much memory as it had, but never the host's last: a sixteenth of it, 256 MiB at least, stays
    free. Half of the CPUs at most. Overlays hold what the guest writes while it boots: half of the
    free space at most, 8 GiB at most.
    """
    spare = available_bytes - max(_LEAST_MARGIN, memory_bytes // _MARGIN_PART)
    memory = min(wanted_memory, spare)
    least = min(wanted_memory, max(_LEAST_MEMORY, wanted_memory // _LEAST_PART))
    if memory < least:
        have = max(0, spare) // _MIB
        return Share(why_not=f"it has {have} MiB of memory to spare and {least // _MIB} are needed")
    scratch = min(_MOST_SCRATCH, free_bytes // 2)
    if scratch < _LEAST_SCRATCH:
        return Share(why_not=f"only {free_bytes // _MIB} MiB are free where images lie")
    vcpus = max(1, min(wanted_vcpus, cpus // 2))
    return Share(memory // _MIB * _MIB, vcpus, scratch)


def appliance_memory(available_bytes: int) -> tuple[int, str]:
    """Bytes for an appliance that looks at disks; or why the host has none to spare."""
    needed = _APPLIANCE + _AROUND
    if available_bytes < needed:
        have = f"it has {available_bytes // _MIB} MiB of memory to spare"
        return 0, f"{have} and {needed // _MIB} are needed"
    return _APPLIANCE, ""
