"""How the files and folders of a store are called. Standard library only: it is also sent to hosts.

    <store>/labpanel-store.json                     MARKER (marker.py)
    <store>/panel-copies/                           PANEL_COPIES
    <store>/<vm-uuid>/.lock                         LOCK: who works on this VM's generations
    <store>/<vm-uuid>/journal.json                  JOURNAL (journal.py), during a change
    <store>/<vm-uuid>/.<key>.partial/labpanel.json  NOTE: whose backup is under way
    <store>/<vm-uuid>/<key>/manifest.json           MANIFEST (manifest.py): it is complete
    <store>/<vm-uuid>/<key>/<target>.qcow2          image of a disk, on top of the one of its parent
    <store>/<vm-uuid>/<key>/<target>.digests        list of its blocks' digests (digests.py)
    <store>/<vm-uuid>/<key>/fresh-<file>            FRESH: made, and not proven yet

A file is written under its name with NEW behind it, and renamed.
"""

import re
import uuid

MARKER, PANEL_COPIES = "labpanel-store.json", "panel-copies"
LOCK, JOURNAL = ".lock", "journal.json"
NOTE, MANIFEST = "labpanel.json", "manifest.json"
FRESH, NEW = "fresh-", ".new"
PROBE = ".labpanel-"  # how the name of a file begins that only tries whether the store takes writes
SYSTEM_FOLDERS = frozenset({"lost+found", PANEL_COPIES})  # every ext4 has the first

FOLDER_MODE, FILE_MODE, LOCK_MODE = 0o700, 0o644, 0o600

KEY = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4,12}")
TARGET = re.compile(r"[A-Za-z0-9_-]{1,32}")
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_IMAGE, _LIST = ".qcow2", ".digests"
_PARTIAL = ".partial"


def partial(key: str) -> str:
    """The folder of a generation under way."""
    return f".{key}{_PARTIAL}"


def key_of_partial(folder: str) -> str:
    """The generation that is under way in a folder of this name; "" for any other folder."""
    if not folder.startswith(".") or not folder.endswith(_PARTIAL):
        return ""
    key = folder[1 : -len(_PARTIAL)]
    return key if KEY.fullmatch(key) else ""


def image(target: str) -> str:
    return f"{target}{_IMAGE}"


def digests(target: str) -> str:
    return f"{target}{_LIST}"


def fresh(file: str) -> str:
    return f"{FRESH}{file}"


def backing(parent: str, target: str) -> str:
    """What an image backs on, from its own folder; "" without a parent."""
    return f"../{parent}/{image(target)}" if parent else ""


def lock_path(store: str, vm_uuid: str) -> str:
    """The lock file of a VM's generations in the store at the path `store`."""
    return f"{store}/{vm_uuid}/{LOCK}"


def is_uuid(name: str) -> bool:
    """Whether a folder of this name holds the generations of a VM."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
