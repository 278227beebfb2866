"""Runs QEMU's programs on images so that they can reach those and nothing else of the machine.

As root only, and where the kernel lets it. The program gets a root file system of its own (mount
namespace, chroot) that holds the distribution's programs and libraries for reading, the images that
it was given, and the folder of its socket; no network; and the user `nobody`. That user keeps one
capability, to open the images of any owner (capabilities(7), CAP_DAC_OVERRIDE): nothing else
that it could open is there. On a network or FUSE file system, whose server looks at the user, it
stays root without any other capability. Standard library only.
"""

import ctypes
import os
import shutil
import struct
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from labpanel.onhost.runtime.wire import die_with_parent, folder

IMAGES = "/images"
_NEWNS, _NEWNET, _NEWIPC = 0x20000, 0x40000000, 0x8000000  # sched.h
_RDONLY, _NOSUID, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18  # sys/mount.h
_KEEPCAPS, _CAPBSET_DROP, _NO_NEW_PRIVS, _AMBIENT, _RAISE = 8, 24, 38, 47, 2  # linux/prctl.h
_DAC_OVERRIDE, _LAST_CAPABILITY = 1, 63
_CAPSET = {"x86_64": 126, "aarch64": 91, "riscv64": 91, "ppc64le": 184, "s390x": 185}
_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
# statfs(2), f_type: NFS, SMB, CIFS, FUSE, 9p, Ceph, AFS
_FOREIGN = {0x6969, 0x517B, 0xFF534D42, 0xFE534D42, 0x65735546, 0x01021997, 0x00C36400, 0x5346414F}
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
_libc = ctypes.CDLL(None, use_errno=True)
_root: list[str] = []


@dataclass(frozen=True)
class OpenFiles:
    """What a program may reach: `images` by descriptor, of which those in `writable` may be
    changed, and `places`, folders and sockets."""

    images: Sequence[int] = ()
    writable: Collection[int] = ()
    places: Sequence[str] = ()


def shown(handle: int) -> str:
    """The name under which a program finds the image behind a descriptor."""
    return f"{IMAGES}/{handle}" if possible() else f"/proc/self/fd/{handle}"


@cache
def possible() -> bool:
    """Whether a program can be confined here: tried once, in a child of ours."""
    if os.geteuid() != 0 or os.uname().machine not in _CAPSET:
        return False
    if not str(shutil.which("qemu-nbd") or "").startswith("/usr/"):
        return False  # it would not find itself
    child = os.fork()
    if child == 0:
        try:
            confinement(OpenFiles())()
        except BaseException:  # noqa: BLE001 - whatever it is, here it does not work
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def before(reach: OpenFiles) -> Callable[[], None]:
    """What a child does before it becomes the program (subprocess, preexec_fn)."""
    return confinement(reach) if possible() else die_with_parent


def confinement(reach: OpenFiles) -> Callable[[], None]:
    """All that can be looked up is looked up here: the child only calls the kernel."""
    uid = 0 if any(map(_foreign, reach.images)) else nobody()
    root, capset = _empty_folder(), _CAPSET[os.uname().machine]

    def confine() -> None:
        _call(_libc.unshare(_NEWNS | _NEWNET | _NEWIPC), "unshare")
        _mount("none", "/", _REC | _PRIVATE)
        _mount("tmpfs", root, _NOSUID, "tmpfs", b"size=1m,mode=755")
        for path in _SYSTEM:
            _show(root, path)
        for handle in reach.images:
            _bind_image(handle, f"{root}{IMAGES}/{handle}", writable=handle in reach.writable)
        for path in ("/dev/null", *reach.places):
            _bind(path, f"{root}{path}", writable=True)
        os.chroot(root)
        os.chdir("/")
        _become(uid, capset)
        die_with_parent()  # last: a change of user takes it back (prctl(2))

    return confine


def root_in(place: str) -> None:
    """Where each program mounts its own root: a folder in `place`, which stays empty here."""
    path = f"{place}/root"
    Path(path).mkdir(mode=0o700, exist_ok=True)
    _root[:] = [path]


def _empty_folder() -> str:
    if not _root:
        root_in(folder())
    return _root[0]


def _foreign(handle: int) -> bool:
    kind = ctypes.create_string_buffer(256)  # struct statfs; it begins with f_type
    if _libc.fstatfs(handle, kind) != 0:
        return True
    return int(struct.unpack_from("@l", kind.raw)[0]) & 0xFFFFFFFF in _FOREIGN


def _show(root: str, path: str) -> None:
    """A part of the system, for reading; links stay links."""
    there = Path(path)
    if there.is_symlink():
        Path(f"{root}{path}").symlink_to(there.readlink())
    elif there.exists():
        _bind(path, f"{root}{path}", writable=False)


def _bind_image(handle: int, there: str, *, writable: bool) -> None:
    """By its path, since a descriptor of the old namespace cannot be mounted in the new one; it
    must still be the file that was looked at."""
    _bind(str(Path(f"/proc/self/fd/{handle}").readlink()), there, writable=writable)
    if not os.path.samestat(Path(there).stat(), os.fstat(handle)):
        raise OSError("the image was exchanged")


def _bind(path: str, there: str, *, writable: bool) -> None:
    is_folder = Path(path).is_dir()
    made = Path(there) if is_folder else Path(there).parent
    made.mkdir(parents=True, exist_ok=True)
    if not is_folder:
        os.close(os.open(there, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    _mount(path, there, _BIND)
    if not writable:
        _mount("none", there, _BIND | _REMOUNT | _RDONLY | _NOSUID)


def _mount(what: str, where: str, flags: int, kind: str = "none", data: bytes = b"") -> None:
    words = (os.fsencode(what), os.fsencode(where), kind.encode())
    _call(_libc.mount(*words, ctypes.c_ulong(flags), data), "mount")


def nobody() -> int:
    """The user, and group, that the kernel takes for one that it cannot name (proc(5))."""
    return int(Path("/proc/sys/kernel/overflowuid").read_text("ascii"))


def _become(uid: int, capset: int) -> None:
    for capability in range(_LAST_CAPABILITY + 1):
        if capability != _DAC_OVERRIDE:  # a kernel that has fewer says EINVAL
            _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    _call(_libc.prctl(_KEEPCAPS, 1, 0, 0, 0), "prctl")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    head = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    bits = 1 << _DAC_OVERRIDE
    sets = struct.pack("=6I", bits, bits, bits, 0, 0, 0)
    _call(_libc.syscall(ctypes.c_long(capset), head, sets), "capset")
    _call(_libc.prctl(_AMBIENT, _RAISE, _DAC_OVERRIDE, 0, 0), "prctl")
    _call(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def _call(answer: int, what: str) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
