"""What this machine is: kernel, file systems with the drives below them, tools.

The standard library alone, only reading. Arguments are paths
of images whose links are to be followed. Prints one JSON object (adapters/looks/host_facts.py
gives it types). Nothing here can hang for longer than a few seconds: whatever touches a file
system does so in a child, which is left behind when it hangs in the kernel.
"""

import hashlib
import importlib.util
import json
import os
import pwd
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from labpanel.onhost.looks import mountinfo
from labpanel.onhost.runtime import forked

LOOK_SECONDS = 3.0
WHOLE_SECONDS = 12
CHILD_NAME = "labpanel-look"
_MAX_DEPTH = 12  # a loop on a file on a loop …

# File systems over several devices, with a number of their own.
SPANNING = {"btrfs", "bcachefs"}
SOCKETS = ("/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock")
DAEMONS = ("libvirtd", "virtqemud")
PROGRAMS = ("qemu-img", "qemu-nbd", "smartctl", "virsh")
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def read(path: str | Path, default: str = "") -> str:
    try:
        return Path(path).read_text("utf-8", "replace").strip()
    except OSError:
        return default


def merged(mount: str, superblock: str) -> str:
    """One list of options; read-only if either of the two is."""
    words = list(dict.fromkeys([*mount.split(","), *superblock.split(",")]))
    if "ro" in words and "rw" in words:
        words.remove("rw")
    return ",".join(words)


def mounts(images: list[str]) -> list[dict[str, Any]]:
    """The file systems that hold data, each once; further mounts of the same are `also_at`."""
    return [described(each) for each in mountinfo.file_systems(mountinfo.read(), images)]


def described(found: mountinfo.MountedFileSystem) -> dict[str, Any]:
    entry = found.entry
    return {
        "mount_point": mountinfo.shown(entry.mount_point),
        "root": mountinfo.shown(entry.root),
        "device": entry.number,
        "fstype": mountinfo.shown(entry.fstype),
        "source": mountinfo.shown(entry.source),
        "options": mountinfo.shown(merged(entry.options, entry.super_options)),
        "also_at": [mountinfo.shown(place) for place in found.also],
        "at": entry.mount_point,
    }


def look_all(jobs: dict[str, Any]) -> dict[str, Any]:
    """Run each job (a function without arguments) in a child; None for one that hangs or fails."""
    results: dict[str, Any] = dict.fromkeys(jobs)
    pipes = {}
    for name, job in jobs.items():
        pid, pipe = forked.start(partial(_answer, job), CHILD_NAME)
        pipes[pipe] = (name, pid, b"")
    until = time.monotonic() + LOOK_SECONDS
    while pipes:
        ready = select.select(list(pipes), [], [], max(0.0, until - time.monotonic()))[0]
        if not ready:
            break
        for pipe in ready:
            name, pid, data = pipes[pipe]
            chunk = os.read(pipe, 65536)
            if chunk:
                pipes[pipe] = (name, pid, data + chunk)
                continue
            del pipes[pipe]
            os.close(pipe)
            os.waitpid(pid, 0)
            results[name] = json.loads(data) if data else None
    for _, pid, _ in pipes.values():
        os.kill(pid, signal.SIGKILL)  # it dies when the kernel lets it
    return results


def _answer(job: Callable[[], Any], end: int) -> None:
    os.write(end, json.dumps(job()).encode())


def hung_before() -> bool:
    """A child of an earlier look still hangs: asking again would only add another."""
    return any(read(path) == CHILD_NAME for path in Path("/proc").glob("[0-9]*/comm"))


def space(mount_point: str) -> dict[str, int]:
    status = os.statvfs(mount_point)
    return {
        "size": status.f_blocks * status.f_frsize,
        "used": (status.f_blocks - status.f_bfree) * status.f_frsize,
        "available": status.f_bavail * status.f_frsize,
    }


def real(path: str) -> dict[str, Any]:
    return {"path": os.path.realpath(path), "exists": os.path.exists(path)}  # noqa: PTH110


def device_of(path: str) -> str:
    """maj:min of the file system that holds `path`, or of the device that `path` is."""
    status = os.stat(path)  # noqa: PTH116
    number = status.st_rdev or status.st_dev
    return f"{os.major(number)}:{os.minor(number)}"


def below(number: str, source: str, depth: int = 0) -> list[dict[str, str]]:
    """The devices under maj:min, from the partition or volume down to the drives."""
    folder = Path(f"/sys/dev/block/{number}")
    if depth > _MAX_DEPTH:
        return []
    if not folder.exists():
        return [node for device in members(source) for node in below(device, "", depth + 1)]
    folder = folder.resolve()
    name, lower = folder.name, [path.name for path in (folder / "slaves").glob("*")]
    node = {"name": name, "type": kind(folder), "label": read(folder / "dm/name")}
    chain = [node]
    for slave in lower:
        chain += below(read(f"/sys/class/block/{slave}/dev"), "", depth + 1)
    if (folder / "partition").exists():
        chain += below(read(folder.parent / "dev"), "", depth + 1)
    elif node["type"] == "loop":
        node["label"] = read(folder / "loop/backing_file")
        chain += below_file(node["label"], depth + 1)
    return chain


def below_file(path: str, depth: int) -> list[dict[str, str]]:
    try:
        return below(device_of(path), "", depth)
    except OSError:
        return []  # the file lies in another mount namespace, or was unlinked


def members(source: str) -> list[str]:
    """maj:min of each device of a btrfs whose `source` is one of them, or of a bcachefs, which
    names them all with a colon between."""
    if not source.startswith("/dev/"):
        return []
    if ":" in source:
        names = [Path(each).resolve().name for each in source.split(":")]
        return [read(f"/sys/class/block/{name}/dev") for name in names]
    own = Path(source).resolve().name
    for folder in Path("/sys/fs/btrfs").glob("*-*/devices"):
        names = [path.name for path in folder.iterdir()]
        if own in names:
            return [read(f"/sys/class/block/{name}/dev") for name in names]
    return [read(f"/sys/class/block/{own}/dev")]


def kind(folder: Path) -> str:
    """partition, loop, md, LVM, LUKS, device-mapper or drive."""
    if (folder / "partition").exists():
        return "partition"
    if (folder / "loop").exists():
        return "loop"
    if (folder / "md").exists():
        return "md"
    prefix = read(folder / "dm/uuid").partition("-")[0]
    if prefix:
        return {"LVM": "lvm", "CRYPT": "luks"}.get(prefix, "dm")
    return "drive" if is_drive(folder) else "other"


def is_drive(folder: Path) -> bool:
    """A real drive: it stands on a bus, and is not a CD, floppy or network block device."""
    name = folder.name
    return (folder / "device").exists() and not name.startswith(("sr", "fd", "nbd", "zram", "ram"))


def drives() -> list[dict[str, Any]]:
    found = []
    for folder in Path("/sys/block").iterdir():
        sectors = int(read(folder / "size", "0") or 0)
        if is_drive(folder) and sectors:
            found.append(drive(folder.resolve(), sectors))
    return sorted(found, key=lambda one: str(one["name"]))


def drive(folder: Path, sectors: int) -> dict[str, Any]:
    """Serial and WWN from udev's database, which asked the drive itself, else from sysfs."""
    known = udev(read(folder / "dev"))
    device = folder / "device"
    return {
        "name": folder.name,
        "size": sectors * 512,  # sysfs counts in 512 bytes whatever the drive's own
        "rotational": read(folder / "queue/rotational") == "1",
        "model": known.get("ID_MODEL", "").replace("_", " ").strip() or read(device / "model"),
        "serial": known.get("ID_SERIAL_SHORT")
        or read(device / "serial")
        or read(folder / "serial"),
        "wwn": known.get("ID_WWN_WITH_EXTENSION")
        or known.get("ID_WWN")
        or read(folder / "wwid")
        or read(device / "wwid"),
    }


def udev(number: str) -> dict[str, str]:
    lines = read(f"/run/udev/data/b{number}").splitlines()
    pairs = (line[2:].partition("=") for line in lines if line.startswith("E:"))
    return {key: value for key, _, value in pairs}


def tools() -> dict[str, Any]:
    path = os.environ.get("PATH", "") + ":" + SBIN
    found: dict[str, Any] = {name: shutil.which(name, path=path) or "" for name in PROGRAMS}
    sockets = [name for name in SOCKETS if Path(name).is_socket()]
    daemons = [name for name in DAEMONS if shutil.which(name, path=path)]
    found["libvirt_daemon"] = daemons[0] if daemons else ""
    found["libvirt_socket"] = sockets[0] if sockets else ""
    found["libvirt_allowed"] = bool(sockets) and os.access(sockets[0], os.R_OK | os.W_OK)
    for module in ("nbd", "guestfs"):
        found[module] = importlib.util.find_spec(module) is not None
    found["user"] = pwd.getpwuid(os.geteuid()).pw_name
    return found


# UUIDs that makers of boards put into every one of them, or left out.
_NO_UUIDS = {"03000200-0400-0500-0006-000700080009", "12345678-1234-5678-90ab-cddeefaabbcc"}
_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")


def identity() -> dict[str, str]:
    """What tells this machine from others, each hashed as machine-id(5) asks for: the system's id,
    the board's, and the network stack of this boot. "" where there is none. The boot's own id alone
    would not do: containers of one machine share it."""
    system = next((word for word in map(read, _IDS) if len(word) == 32), "")
    board = read("/sys/class/dmi/id/product_uuid") or read(
        "/sys/firmware/devicetree/base/serial-number"
    ).strip("\0")
    if board.lower() in _NO_UUIDS or len(set(board.replace("-", ""))) < 3:
        board = ""
    try:
        network = f"{read('/proc/sys/kernel/random/boot_id')} {os.readlink('/proc/self/ns/net')}"  # noqa: PTH115 - it points at no file
    except OSError:
        network = ""
    words = {"machine_id": system, "board_id": board, "network_id": network}
    return {name: hashed(word) for name, word in words.items()}


def hashed(word: str) -> str:
    return hashlib.sha256(b"labpanel " + word.lower().encode()).hexdigest()[:32] if word else ""


def memory_bytes() -> int:
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def facts(images: list[str]) -> dict[str, Any]:
    file_systems, hung = mounts(images), hung_before()
    places = [mount.pop("at") for mount in file_systems]
    jobs: dict[str, Any] = {
        f"m{i}": lambda place=place: space(place) for i, place in enumerate(places)
    }
    if images:
        jobs["images"] = lambda: {path: real(path) for path in images}
    jobs = {name: job for name, job in jobs.items() if not hung or local(name, file_systems)}
    jobs["below"] = lambda: [
        below(mount["device"], mount["source"] if mount["fstype"] in SPANNING else "")
        for mount in file_systems
    ]
    seen = look_all(jobs)
    for i, mount in enumerate(file_systems):
        mount["space"] = seen.get(f"m{i}")
        mount["below"] = (seen.get("below") or [[]] * len(file_systems))[i]
    uname = os.uname()
    return {
        "kernel": uname.release,
        "hostname": uname.nodename,
        "machine": uname.machine,
        "boot_id": read("/proc/sys/kernel/random/boot_id"),
        **identity(),
        "cpus": os.cpu_count() or 1,
        "memory_bytes": memory_bytes(),
        "mounts": file_systems,
        "drives": drives(),
        "tools": tools(),
        "real_paths": seen.get("images") or {},
        "hung": hung,
    }


def local(job: str, file_systems: list[dict[str, Any]]) -> bool:
    """Whether a look can't hang on a network: then it may be tried although another hangs."""
    return job.startswith("m") and not file_systems[int(job[1:])]["device"].startswith("0:")


def main() -> None:
    signal.alarm(WHOLE_SECONDS)
    print(json.dumps(facts(sys.argv[1:])))


if __name__ == "__main__":
    main()
