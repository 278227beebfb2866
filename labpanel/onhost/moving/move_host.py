"""What a move needs done on a host: look, make empty images, lend sockets to QEMU, set aside.

Sent to the host by labpanel.adapters.ssh.session. A file that exists is never written over, and
none is removed that does not bear this move's mark.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labpanel.onhost.images import layers, marks
from labpanel.onhost.looks import having
from labpanel.onhost.runtime import qemu_user
from labpanel.onhost.runtime.wire import Problem, run, serve

MARK = "user.labpanel.job"
BASE = Path("/run/libvirt")


def look(
    paths: list[str], folders: list[str], needed: list[str], drivers: list[str]
) -> dict[str, Any]:
    """What stands on this host: which `paths` are taken, the room in `folders`, which of the
    `needed` files are missing, bridges, memory to spare, tools."""
    return {
        "taken": [path for path in paths if os.path.lexists(path)],
        "rooms": {name: room(name) for name in folders},
        **having.having(needed, drivers),
        "memory_available": memory_available(),
        "root": os.geteuid() == 0,
    }


def room(folder: str) -> dict[str, Any]:
    """`{"exists", "device", "available_bytes", "mount_point", "read_only"}` of the file system that
    holds `folder` or, if it is not there yet, would hold it."""
    here = Path(folder)
    exists = here.is_dir()
    while not here.is_dir():
        here = here.parent
    status = os.statvfs(here)
    mount = here
    while not mount.is_mount():
        mount = mount.parent
    return {
        "exists": exists,
        "device": here.stat().st_dev,
        "available_bytes": status.f_bavail * status.f_frsize,
        "mount_point": str(mount),
        "read_only": bool(status.f_flag & os.ST_RDONLY),
    }


def memory_available() -> int:
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def sizes(paths: list[str]) -> dict[str, dict[str, int]]:
    """Bytes that each file takes on its file system, and its apparent size."""
    found = {}
    for path in paths:
        status = os.stat(path)  # noqa: PTH116
        found[path] = {"allocated": status.st_blocks * 512, "size": status.st_size}
    return found


def image_marks(images: list[list[str]]) -> list[dict[str, Any]]:
    """What a copy of each image [path, format] would not show (marks.of_image)."""
    return [marks.of_image(path, image_format) for path, image_format in images]


def create(token: str, path: str, image_format: str, virtual_bytes: int) -> None:
    """Make an empty image with this move's mark, under a name that must not exist yet."""
    Path(path).parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise Problem("exists", f"{path} exists already; nothing was written over it.") from None
    mark(token, path)
    options = ["-o", "compat=1.1"] if image_format == "qcow2" else []
    words = [
        "qemu-img",
        "create",
        "-q",
        "-f",
        image_format,
        *options,
        "--",
        path,
        str(virtual_bytes),
    ]
    run(words, "create", f"{path} could not be made")


def write_file(token: str, path: str, content: str) -> None:
    """Make a small marked file (NVRAM) from hexadecimal digits."""
    Path(path).parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Problem("exists", f"{path} exists already; nothing was written over it.") from None
    with os.fdopen(handle, "wb") as file:
        file.write(bytes.fromhex(content))
        os.fsync(file.fileno())
    mark(token, path)


def read_file(path: str) -> str:
    return Path(path).read_bytes().hex()


def mark(token: str, path: str) -> None:
    """An attribute of the file, or where the file system has none, a file beside it."""
    try:
        os.setxattr(path, MARK, token.encode())
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EPERM}:
            raise
        beside(token, path).touch(mode=0o600)


def beside(token: str, path: str) -> Path:
    return Path(f"{path}.labpanel-{token}")


def marked(token: str, path: str) -> bool:
    try:
        return os.getxattr(path, MARK) == token.encode()
    except OSError:
        return beside(token, path).exists()


def unmark(token: str, paths: list[str]) -> None:
    """The images are the VM's own from now on."""
    for path in paths:
        if Path(path).exists() and marked(token, path):
            beside(token, path).unlink(missing_ok=True)
            try:
                os.removexattr(path, MARK)
            except OSError:
                pass  # the mark was the file beside it


def remove(token: str, paths: list[str]) -> list[str]:
    """Remove this move's own images; those that were removed. Others stay untouched."""
    gone = []
    for path in paths:
        if Path(path).exists() and marked(token, path):
            Path(path).unlink()
            beside(token, path).unlink(missing_ok=True)
            gone.append(path)
    return gone


def aside(paths: list[str], suffix: str) -> list[str]:
    """Rename images that have moved away, never over a file; their new names."""
    renamed = []
    for path in paths:
        kept = f"{path}{suffix}"
        if not Path(path).exists():
            continue  # an earlier try got this far, or it never was
        os.link(path, kept, follow_symlinks=False)
        Path(path).unlink()
        renamed.append(kept)
    return renamed


def lend(token: str, vm_name: str) -> str:
    """Make the folder for this move's sockets, QEMU's own, below libvirt's (AppArmor's profiles
    allow /run/libvirt/**/*.tunnelmigrate.dest.NAME); its path."""
    folder = BASE / f"labpanel-{token}"
    folder.mkdir(mode=0o700, parents=True)
    os.chown(folder, *qemu_user.owner(vm_name))
    return str(folder)


def hand_over(paths: list[str], vm_name: str) -> None:
    """Give sockets that sshd made for root to the user of this VM's QEMU."""
    owner = qemu_user.owner(vm_name)
    for path in paths:
        os.chown(path, *owner)


def clear(token: str) -> None:
    """Remove this move's socket folder, if it is there."""
    folder = BASE / f"labpanel-{token}"
    if folder.is_dir():
        for entry in folder.iterdir():
            entry.unlink()
        folder.rmdir()


def check(path: str, image_format: str) -> None:
    """`qemu-img check` of an image that no program writes to: 0 is clean, 3 only leaked
    clusters."""
    words, what = ["qemu-img", "check", "-q"], f"{path} is damaged"
    with layers.top(path, image_format) as image:
        layers.tool(words, image, code="damaged", what=what, ok=(0, 3))


VERBS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        look,
        sizes,
        image_marks,
        create,
        write_file,
        read_file,
        unmark,
        remove,
        aside,
        lend,
        hand_over,
        clear,
        check,
    )
}


def main() -> None:
    serve(VERBS)
