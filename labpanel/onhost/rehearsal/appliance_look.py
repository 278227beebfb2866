"""Opens disks of a copy in libguestfs's appliance, a small VM of its own, and says what is on them.

One process of appliance.py, which gives it its source and, on standard input, one JSON
object: `{"disks": [{"target", "socket", "export"}], "memory_mib", "kvm", "places", "most",
"seconds"}`. It prints one JSON object a line: `{"phase"}` as it goes on, last `{"result"}` or
`{"error"}`. No file system is mounted by the host's own kernel, and nothing is written but to the
throw-away overlays that the appliance keeps in its temporary folder.
"""

import json
import re
import sys
from typing import Any

# What a file system's type says of content that cannot be mounted.
NO_FILES = {"swap", "unknown", "crypto_LUKS", "BitLocker"}
# Where ext2 to ext4 keep the second superblock, by the size of a block (ext4(5), mke2fs -n):
# behind one group of 8 blocks for each byte of a block.
SPARE_SUPERBLOCKS = ((8193, 1024), (16384, 2048), (32768, 4096))
_MAGIC, _MAGIC_AT, _GROUP_AT = b"\x53\xef", 56, 90
_ELSEWHERE = {"proc", "sysfs", "tmpfs", "devpts", "nfs", "nfs4", "cifs", "none", "swap"}
_OPTIONAL = {"noauto", "nofail", "_netdev", "bind"}
_LETTERED = re.compile(r"/dev/(?:[svh]|xv)d([a-z]+)([0-9]*)\Z")
_DISK = re.compile(r"(/dev/sd[a-z]+)([0-9]*)\Z")
_SUBVOLUME = re.compile(
    r"btrfsvol:(/dev/(?:sd[a-z]+[0-9]*|md[0-9]+|[^/]+/[^/]+))/(.+)\Z", re.DOTALL
)
# In the appliance, whose root is not the guest's: $1 is where that is mounted, $2 when to stop.
_COUNT = r"""
find "$1" -xdev \( -path /sysroot/tmp -o -path /sysroot/var/tmp -o -path /sysroot/var/cache \
    -o -path /sysroot/var/log \) -prune -o -type f -printf '%T@\n' 2>/dev/null | head -n "$2" |
    sort -rn | { read -r newest && echo $(($(wc -l) + 1)) "${newest%%.*}" || echo 0 0; }
"""


class ApplianceLook:
    """One appliance. `systems` are the file systems that it found, in the order of disks."""

    def __init__(self, guest: Any, asked: dict[str, Any]) -> None:
        self.guest, self.asked = guest, asked
        self.targets: dict[str, str] = {}
        self.systems: list[dict[str, Any]] = []
        self.lines: list[dict[str, str]] = []

    def launch(self) -> None:
        guest, asked = self.guest, self.asked
        guest.set_backend("direct")
        guest.set_backend_settings([] if asked["kvm"] else ["force_tcg"])
        guest.set_memsize(asked["memory_mib"])
        guest.set_smp(1)
        guest.set_network(False)
        guest.set_autosync(False)
        for disk in asked["disks"]:
            guest.add_drive_opts(
                disk["export"],
                readonly=True,
                format="raw",
                protocol="nbd",
                server=[f"unix:{disk['socket']}"],
            )
        guest.launch()

    def result(self) -> dict[str, Any]:
        say(phase="looking for file systems")
        given = [disk["target"] for disk in self.asked["disks"]]
        devices = self.guest.list_devices()
        if len(devices) != len(given):
            raise RuntimeError(f"{len(given)} disks were given, {len(devices)} are there")
        self.targets = dict(zip(devices, given))
        disks = [
            {"target": target, "bytes": self.guest.blockdev_getsize64(device)}
            for device, target in self.targets.items()
        ]
        for device, kind in sorted(self.guest.list_filesystems().items()):
            self.systems.append(self._system(device, kind))
        self._name_points()
        self._count()
        for system in self.systems:
            del system["mountable"]
        return {"disks": disks, "systems": self.systems, "lacking": self._lacking()}

    def _system(self, mountable: str, kind: str) -> dict[str, Any]:
        """`why_not` says why it could not be mounted; one without files is not tried."""
        found = {
            "mountable": mountable,
            "device": self._name(mountable),
            "type": kind,
            "label": self._ask("vfs_label", mountable),
            "uuid": self._ask("vfs_uuid", mountable),
            "point": "",
            "root": False,
            "why_not": "",
            "hidden": "",
            "trees": {},
        }
        if kind == "unknown":
            found["why_not"] = self._spoilt(mountable)
        elif kind not in NO_FILES:
            say(phase=f"mounting {found['device']}")
            found["why_not"] = self._tried(mountable, found)
        return found

    def _tried(self, mountable: str, found: dict[str, Any]) -> str:
        """Mount it alone, and read the table of file systems of a system that lies on it."""
        try:
            self.guest.mount_ro(mountable, "/")
        except RuntimeError as error:
            if "unknown filesystem type" in str(error):
                found["hidden"] = f"the appliance’s kernel knows no {found['type']}"
                return ""
            return last_line(error)
        try:
            if self.guest.is_file("/etc/fstab", followsymlinks=False):
                found["root"] = True
                if not self.lines:
                    self.lines = table(self.guest.read_file("/etc/fstab"))
            elif self.guest.is_dir("/etc") and self.guest.is_dir("/bin", followsymlinks=True):
                found["root"] = True
        except RuntimeError as error:
            return f"It cannot be read: {last_line(error)}"
        finally:
            self.guest.umount_all()
        return ""

    def _spoilt(self, device: str) -> str:
        """Nothing is known of its content: is it a file system whose beginning is gone?"""
        for block, size in SPARE_SUPERBLOCKS:
            try:
                spare = self.guest.pread_device(device, 1024, block * size)
            except RuntimeError:
                continue  # it is smaller than that
            magic = spare[_MAGIC_AT : _MAGIC_AT + 2]
            if magic == _MAGIC and spare[_GROUP_AT : _GROUP_AT + 2] == b"\x01\x00":
                return "It was an ext file system: its first superblock is gone."
        return ""

    def _name(self, mountable: str) -> str:
        """`vda1` for the first partition of the VM's vda, `vg0/root` for a logical volume."""
        # Not asked of libguestfs, which tells disks by their place and mixes them up here.
        sub = _SUBVOLUME.match(mountable)
        device, volume = (sub[1], sub[2]) if sub else (mountable, "")
        part = _DISK.match(device)
        name = self.targets[part[1]] + part[2] if part else device.removeprefix("/dev/")
        return f"{name} {volume}" if volume else name

    def _ask(self, question: str, mountable: str) -> str:
        try:
            return str(getattr(self.guest, question)(mountable))
        except (RuntimeError, UnicodeDecodeError):
            return ""

    def _name_points(self) -> None:
        """Where the guest itself would mount each, by its own fstab; the one it lies on is /."""
        for line in self.lines:
            system = self._named(line)
            if system is not None and not system["point"]:
                system["point"] = line["point"]
        if not any(system["point"] == "/" for system in self.systems):
            for system in self.systems:
                if system["root"]:
                    system["point"] = system["point"] or "/"
                    break

    def _named(self, line: dict[str, str]) -> dict[str, Any] | None:
        key, _, value = line["device"].partition("=")
        value = value.strip('"')
        for by in ("uuid", "label"):
            prefix = f"/dev/disk/by-{by}/"
            if line["device"].startswith(prefix):
                key, value = by.upper(), line["device"].removeprefix(prefix)
        for system in self.systems:
            if key == "UUID" and system["uuid"].lower() == value.lower() and value:
                same = True
            elif key == "LABEL" and value:
                same = system["label"] == value
            else:
                same = system["device"].partition(" ")[0] in self._aliases(line["device"])
            if same and _volume(line) in {"", system["device"].partition(" ")[2]}:
                return system
        return None

    def _aliases(self, device: str) -> set[str]:
        """Names here of a device that the guest's fstab names by a path."""
        found = {device.removeprefix("/dev/")}
        if device.startswith("/dev/mapper/"):
            group = device.removeprefix("/dev/mapper/").replace("--", "\0")
            found.add(group.replace("-", "/", 1).replace("\0", "-"))
        lettered = _LETTERED.match(device)
        if lettered:  # an sda of the guest's may be what its host calls vda
            ends = lettered[1]
            found |= {f"{one}{lettered[2]}" for one in self.targets.values() if one[2:] == ends}
        return found

    def _lacking(self) -> list[dict[str, str]]:
        """Lines of the guest's fstab that a boot must mount and that are on no disk."""
        points = {system["point"] for system in self.systems}
        return [
            {"point": line["point"], "device": line["device"]}
            for line in self.lines
            if line["point"] not in points and line["must"]
        ]

    def _count(self) -> None:
        for system in self.systems:
            if system["why_not"] or system["hidden"] or system["type"] in NO_FILES:
                continue
            say(phase=f"counting files on {system['device']}")
            point = system["point"]
            places = {point: "/sysroot"}
            if point == "/":
                owned = {other["point"] for other in self.systems}
                places |= {
                    place: f"/sysroot{place}"
                    for place in self.asked["places"]
                    if place not in owned
                }
            try:
                self.guest.mount_ro(system["mountable"], "/")
                for name, path in places.items():
                    counted = self._counted(path)
                    if counted is not None:
                        system["trees"][name] = counted
            except RuntimeError as error:
                system["not_counted"] = last_line(error)
            finally:
                self.guest.umount_all()

    def _counted(self, path: str) -> list[int] | None:
        """`[files, newest]`; None where there is no such folder."""
        if not self.guest.is_dir(path.removeprefix("/sysroot") or "/"):
            return None
        words = f"timeout {self.asked['seconds']} sh -c {quoted(_COUNT)} sh {quoted(path)}"
        words += f" {self.asked['most']}"
        answer = self.guest.debug("sh", [words]).split()
        if len(answer) != 2:
            raise RuntimeError(f"not counted within {self.asked['seconds']} s")
        return [int(answer[0]), int(answer[1])]


def _volume(line: dict[str, str]) -> str:
    """The subvolume of btrfs that a line of fstab names."""
    found = re.search(r"(?:^|,)subvol=/?([^,]+)", line["options"])
    return found[1] if found else ""


def table(content: bytes) -> list[dict[str, str]]:
    """The lines of an fstab that name a local file system; `must` is empty for one that a boot
    goes on without."""
    found = []
    for line in content.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) < 3 or words[0].startswith(("#", "//")) or ":/" in words[0]:
            continue
        options = words[3] if len(words) > 3 else ""
        if words[1].startswith("/") and words[2] not in _ELSEWHERE:
            point = words[1].replace("\\040", " ")
            must = "" if _OPTIONAL & set(options.split(",")) else "yes"
            one = {"device": words[0], "point": point, "options": options, "must": must}
            found.append(one)
    return found


def quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def last_line(error: RuntimeError) -> str:
    """What a tool in the appliance said last: that is the reason."""
    return (str(error).strip().splitlines() or ["it did not say why"])[-1][:300]


def say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    import guestfs  # the distribution’s, on the host; tests read this module without it

    asked = json.loads(sys.stdin.readline())
    say(phase="starting the appliance")
    look = ApplianceLook(guestfs.GuestFS(python_return_dict=True), asked)
    try:
        look.launch()
        say(result=look.result())
    except RuntimeError as error:
        say(error=(str(error).splitlines() or ["libguestfs did not say why"])[0][:500])


if __name__ == "__main__":
    main()
