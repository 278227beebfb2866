"""Asking a guest through its agent what it has: disks, mounted file systems, files.

One small program for /bin/sh, the same in the running VM and in its rehearsed copy. It needs only
what every userland has (find, stat, awk; busybox will do), reads, and writes nothing. Where the
agent may not run programs, its own lists of disks and file systems are what there is.
"""

from collections.abc import Callable, Sequence
from typing import Any

from labpanel.adapters.errors import AdapterError, Refused
from labpanel.lib.guest import Guest, GuestDisk, Mount, Tree

MOST_FILES = 300_000
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

Call = Callable[..., Any]


def look(call: Call, uuid: str, *, seconds: int) -> Guest:
    """Disks and mounted file systems, by a program in the guest or by the agent's own lists.

    `call` is Hypervisor.call or the pool's. Raises an AdapterError when the agent is silent.
    """
    try:
        return parse_facts(_run(call, uuid, _FACTS, (), seconds))
    except Refused as refused:
        return _listed(call, uuid, seconds, refused)


def trees(
    call: Call, uuid: str, places: Sequence[str], *, now: float, moment: float, seconds: int
) -> dict[str, Tree]:
    """Files below each of `places`; "old" is what was not touched after `moment`. Both times by
    the panel's clock (seconds since 1970): the guest's own is set right by the difference."""
    words = (str(int(now)), str(int(moment)), str(MOST_FILES), *places)
    return parse_trees(_run(call, uuid, _TREES, words, seconds))


def _run(call: Call, uuid: str, program: str, words: Sequence[str], seconds: int) -> str:
    answer = call(
        "agent_run",
        deadline=seconds + 10,
        uuid=uuid,
        words=["/bin/sh", "-c", program, "sh", *words],
        seconds=seconds,
    )
    if not answer["ended"]:
        raise AdapterError(f"The look into the guest was not through after {seconds} s.")
    text: str = answer["out"]
    if not text.rstrip().endswith("done"):
        raise Refused("The guest has no shell that can look around.", text[-500:])
    return text


def parse_facts(text: str) -> Guest:
    disks, mounts, wanted = [], [], []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        words = rest.split(" ", 2)
        if kind == "disk" and len(words) > 1 and words[1].isdigit() and int(words[1]):
            serial = words[2].strip() if len(words) > 2 else ""
            disks.append(GuestDisk(words[0], int(words[1]) * _SECTOR, serial))
        elif kind == "mount" and len(words) == 3:
            mounts.append(Mount(unescaped(words[2]), words[0], words[1]))
        elif kind == "fstab" and len(words) == 3 and _must_mount(words[0], words[1], words[2]):
            wanted.append(unescaped(words[2]))
    return Guest(tuple(disks), tuple(mounts), tuple(wanted))


def _must_mount(form: str, options: str, point: str) -> bool:
    optional = {"noauto", "nofail", "_netdev", "bind"} & set(options.split(","))
    return point.startswith("/") and form not in _NOT_LOCAL and not optional


def parse_trees(text: str) -> dict[str, Tree]:
    found = {}
    for line in text.splitlines():
        words = line.split(" ", 5)
        if words[0] == "tree" and len(words) == 6:
            files, newest, old, old_newest = map(int, words[1:5])
            found[words[5]] = Tree(files, newest, old, old_newest, cut=files >= MOST_FILES)
    return found


def unescaped(text: str) -> str:
    """Blanks, tabs, line ends and backslashes, which /proc/mounts writes in octal (fstab(5))."""
    for code, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        text = text.replace(f"\\{code}", character)
    return text


def _listed(call: Call, uuid: str, seconds: int, refused: Refused) -> Guest:
    """What the agent lists by itself (guest-get-disks, guest-get-fsinfo: qga/qapi-schema.json)."""
    systems = _ask(call, uuid, "guest-get-fsinfo", seconds)
    disks = [disk for disk in _ask(call, uuid, "guest-get-disks", seconds) if not disk["partition"]]
    if not (systems or disks):
        raise refused
    return Guest(
        disks=tuple(
            GuestDisk(disk["name"], 0, disk.get("address", {}).get("serial", "")) for disk in disks
        ),
        mounts=tuple(Mount(one["mountpoint"], one["name"], one["type"]) for one in systems),
        why_no_trees=f"The guest lets nobody count its files: {refused.sentence}",
    )


def _ask(call: Call, uuid: str, command: str, seconds: int) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = call(
            "agent_ask", deadline=seconds + 5, uuid=uuid, command=command, seconds=seconds
        )
    except Refused:
        return []  # an old agent does not know the question
    return found


def places_of(guest: Guest) -> tuple[str, ...]:
    """Where to count: each file system once, by its shortest path, and PLACES."""
    first: dict[str, str] = {}
    for mount in sorted(guest.mounts, key=lambda mount: (len(mount.point), mount.point)):
        first.setdefault(mount.device, mount.point)
    return tuple(sorted({*first.values(), *PLACES}))
