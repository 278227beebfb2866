"""Asking a guest through its agent what it has: disks, mounted file systems, files.

One small program for /bin/sh, the same in the running VM and in its rehearsed copy. It needs only
what every userland has (find, stat, awk; busybox will do), reads, and writes nothing. Where the
agent may not run programs, its own lists of disks and file systems are what there is.
"""

import contextlib
from collections.abc import Sequence

from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.libvirt.uses.agent import MOST_DISKS, MOST_MOUNTS, AsksAgent
from labpanel.lib import closed
from labpanel.lib.guest import Guest, GuestDisk, GuestMount, Tree

MOST_FILES = 300_000
_MOST_LINE = 5000
_MOST_DIGITS = 15  # a disk of an exbibyte in bytes, a time in seconds
_SECTOR = 512  # /sys/block/*/size counts these, whatever the disk's own sector
# Always looked at, a file system of its own or not.
PLACES = ("/home",)
# Not on a block device, or not to be mounted by a boot.
_NOT_LOCAL = frozenset({"swap", "proc", "sysfs", "tmpfs", "devpts", "nfs", "nfs4", "cifs", "none"})

_FACTS = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
for disk in /sys/block/*; do
    name=${disk##*/}
    case $name in loop*|ram*|zram*|sr*|fd*|dm-*|md*|nbd*) continue ;; esac
    serial=$(cat "$disk/serial" "$disk/device/serial" 2>/dev/null | head -n 1)
    [ -n "$serial" ] || serial=$(tr -cd '[:alnum:]_-' <"$disk/device/vpd_pg80" 2>/dev/null)
    echo "disk $name $(cat "$disk/size") $serial"
done
while read -r device point type rest; do
    case $device in /dev/loop*) ;; /dev/*) echo "mount $device $type $point" ;;
    *) [ "$type" != zfs ] || echo "mount $device $type $point" ;; esac
done </proc/mounts
while read -r device point type options rest; do
    case $device in ''|'#'*|//*|*:/*) ;; *) echo "fstab $type $options $point" ;; esac
done </etc/fstab 2>/dev/null
echo done
"""
# $1: seconds since 1970 by the panel's clock now, $2: the moment of the backup by that clock,
# $3: where to stop counting, then the places.
_TREES = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
limit=$(($2 + $(date +%s) - $1)) most=$3
shift 3
for place; do
    [ -d "$place" ] || continue
    find "$place" -xdev \( -path /tmp -o -path /var/tmp -o -path /var/cache -o -path /var/log \) \
        -prune -o -type f -exec stat -c '%Z %Y' {} + 2>/dev/null | awk -v limit="$limit" \
        -v most="$most" '{ n++; if ($2 > new) new = $2
        if ($1 <= limit) { o++; if ($2 > old) old = $2 } if (n >= most) exit }
        END { printf "tree %.0f %.0f %.0f %.0f ", n, new, o, old }'
    echo "$place"
done
echo done
"""


def look(agent: AsksAgent, uuid: str, *, seconds: int) -> Guest:
    """Disks and mounted file systems, by a program in the guest or by the agent's own lists.

    Raises an AdapterError when the agent is silent.
    """
    try:
        return parse_facts(_run(agent, uuid, _FACTS, (), seconds))
    except Refused as refused:
        return _listed(agent, uuid, seconds, refused)


def trees(
    agent: AsksAgent, uuid: str, places: Sequence[str], *, now: float, moment: float, seconds: int
) -> dict[str, Tree]:
    """Files below each of `places`; "old" is what was not touched after `moment`. Both times by
    the panel's clock (seconds since 1970): the guest's own is set right by the difference."""
    words = (str(int(now)), str(int(moment)), str(MOST_FILES), *places)
    return parse_trees(_run(agent, uuid, _TREES, words, seconds))


def _run(agent: AsksAgent, uuid: str, program: str, words: Sequence[str], seconds: int) -> str:
    ran = agent.agent_run(uuid, ["/bin/sh", "-c", program, "sh", *words], seconds=seconds)
    if not ran.ended:
        raise AdapterError(f"The look into the guest had not finished after {seconds} s.")
    if not ran.out.rstrip().endswith("done"):
        raise Refused("The guest has no shell that can look around.", ran.out[-500:])
    return ran.out


def parse_facts(text: str) -> Guest:
    """What the program printed in the guest. A line that is none of its own is left out."""
    disks, mounts, wanted = [], [], []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        words = rest.split(" ", 2)
        if len(line) > _MOST_LINE or not closed.is_plain(line):
            continue
        if kind == "disk" and len(words) > 1 and (sectors := _whole(words[1])):
            serial = words[2].strip() if len(words) > 2 else ""
            disks.append(GuestDisk(words[0], sectors * _SECTOR, serial))
        elif kind == "mount" and len(words) == 3:
            mounts.append(GuestMount(unescaped(words[2]), words[0], words[1]))
        elif kind == "fstab" and len(words) == 3 and _must_mount(words[0], words[1], words[2]):
            wanted.append(unescaped(words[2]))
    return Guest(
        tuple(disks[:MOST_DISKS]), tuple(mounts[:MOST_MOUNTS]), tuple(wanted[:MOST_MOUNTS])
    )


def _whole(word: str) -> int | None:
    """A count in decimal digits; None for what no file system and no clock can have."""
    fits = word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS
    return int(word) if fits else None


def _must_mount(form: str, options: str, point: str) -> bool:
    optional = {"noauto", "nofail", "_netdev", "bind"} & set(options.split(","))
    return point.startswith("/") and form not in _NOT_LOCAL and not optional


def parse_trees(text: str) -> dict[str, Tree]:
    found: dict[str, Tree] = {}
    for line in text.splitlines():
        words = line.split(" ", 5)
        if words[0] != "tree" or len(words) != 6 or len(found) >= MOST_MOUNTS:
            continue
        files, newest, old, old_newest = map(_whole, words[1:5])
        if None not in (files, newest, old, old_newest) and closed.is_plain(words[5]):
            assert files is not None and newest is not None
            assert old is not None and old_newest is not None
            found[words[5]] = Tree(files, newest, old, old_newest, cut=files >= MOST_FILES)
    return found


def unescaped(text: str) -> str:
    """Blanks, tabs, line ends and backslashes, which /proc/mounts writes in octal (fstab(5))."""
    for code, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        text = text.replace(f"\\{code}", character)
    return text


def _listed(agent: AsksAgent, uuid: str, seconds: int, refused: Refused) -> Guest:
    """What the agent lists without a program (guest-get-disks, guest-get-fsinfo:
    qga/qapi-schema.json)."""
    mounts, disks = tuple[GuestMount, ...](), tuple[GuestDisk, ...]()
    with contextlib.suppress(Refused):  # an old agent does not know the question
        mounts = agent.agent_mounts(uuid, seconds=seconds)
    with contextlib.suppress(Refused):
        disks = agent.agent_disks(uuid, seconds=seconds)
    if not (mounts or disks):
        raise refused
    return Guest(
        disks=disks,
        mounts=mounts,
        why_no_trees=f"The guest does not let its files be counted: {refused.sentence}",
    )


def places_of(guest: Guest) -> tuple[str, ...]:
    """Where to count: each file system once, by its shortest path, and PLACES."""
    first: dict[str, str] = {}
    for mount in sorted(guest.mounts, key=lambda mount: (len(mount.point), mount.point)):
        first.setdefault(mount.device, mount.point)
    return tuple(sorted({*first.values(), *PLACES}))
