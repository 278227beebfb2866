"""The files of the guests' data disks: what a household keeps, and what backups lose.

Always the same content (a fixed seed), so that a copy made on one machine can
be compared with one made on another.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

SEED = 20070818
YEAR_2007 = 1_167_609_600
"""1 January 2007 00:00 UTC in seconds; times of the files are in that year."""

USERS = {"hanako": 1000, "taro": 1001, "shared": 1002}
WORDS = [
    "rice",
    "tea",
    "soup",
    "garden",
    "letter",
    "train",
    "summer",
    "school",
    "photo",
    "recipe",
    "winter",
    "bill",
    "mail",
    "note",
]

ODD_NAMES = (
    "with space.txt",
    'quo"te.txt',
    "back\\slash.txt",
    "new\nline.txt",
    "$(touch pwned)",
    "<b>bold</b>.html",
    "日本語のメモ.txt",
    "-dash-first",
    "*star?.txt",
    "tab\there",
    "." + "x" * 60,
)


class Filler:
    """Writes files with a seeded source of content, owners, modes and times."""

    def __init__(self, root: Path, seed: int = SEED) -> None:
        self.root = root
        self.source = random.Random(seed)  # noqa: S311 - test data, no secret

    def text(self, lines: int) -> bytes:
        """Plain text of so many lines."""
        rows = (" ".join(self.source.choices(WORDS, k=9)) for _ in range(lines))
        return ("\n".join(rows) + "\n").encode()

    def put(self, name: str, data: bytes, *, uid: int = 0, mode: int = 0o644) -> Path:
        """Write one file and return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.chown(path, uid, uid)
        path.chmod(mode)
        return path

    def set_times(self) -> None:
        """Give every file and folder a time in 2007, folders after what is in them."""
        for folder, _, names in os.walk(self.root, topdown=False):
            for name in [*names, "."]:
                when = YEAR_2007 + self.source.randrange(365 * 86400)
                os.utime(Path(folder, name), (when, when), follow_symlinks=False)


def _documents(fill: Filler, user: str, uid: int) -> None:
    """Folders of text, mail and pictures, and the dotfiles that tar once missed."""
    for number in range(60):
        fill.put(f"{user}/documents/{number // 10}/note-{number}.txt", fill.text(20), uid=uid)
    for number in range(20):
        data = fill.source.randbytes(40_000 + number * 7_000)
        fill.put(f"{user}/pictures/img_{number:04}.jpg", data, uid=uid, mode=0o640)
    for number in range(25):
        mail = b"From: a\nTo: b\n\n" + fill.text(15)
        fill.put(f"{user}/.mail/cur/{number}.eml", mail, uid=uid, mode=0o600)
    fill.put(f"{user}/.bashrc", b"alias ll='ls -l'\n", uid=uid)
    fill.put(f"{user}/.ssh/id_ed25519.example", fill.text(5), uid=uid, mode=0o600)
    fill.put(f"{user}/.config/app/settings.ini", b"[app]\ncolour=blue\n", uid=uid)
    fill.put(f"{user}/bin/tool.sh", b"#!/bin/sh\nexit 0\n", uid=uid, mode=0o755)


def _links(fill: Filler) -> None:
    """Hard links, symbolic links (whole and broken) and a named pipe."""
    for number in range(5):
        first = fill.put(f"shared/links/original-{number}", fill.text(3), uid=1002)
        os.link(first, first.with_name(f"hard-{number}"))
    os.link(fill.root / "shared/links/original-0", fill.root / "hanako/also-original-0")
    (fill.root / "taro/latest").symlink_to("documents/5")
    (fill.root / "taro/broken").symlink_to("/nowhere/at/all")
    os.lchown(fill.root / "taro/latest", 1001, 1001)
    os.mkfifo(fill.root / "shared/pipe", 0o620)


def _special(fill: Filler) -> None:
    """Extended attributes, a sparse file, unusual modes, empty things, odd names."""
    tagged = fill.put("shared/tagged.txt", fill.text(2), uid=1002)
    os.setxattr(tagged, "user.comment", "書類".encode())
    os.setxattr(tagged, "user.binary", bytes(range(32)))
    os.setxattr(fill.root / "shared", "user.origin", b"practice")
    sparse = fill.put("shared/sparse.img", b"begin", uid=1002)
    with sparse.open("r+b") as stream:
        stream.seek(48 << 20)
        stream.write(b"end")
    fill.put("shared/empty", b"")
    fill.put("shared/setuid", b"x", mode=0o4755)
    fill.put("shared/secret", b"x", mode=0o000)
    (fill.root / "shared/empty folder").mkdir()
    (fill.root / "shared/drop").mkdir()
    (fill.root / "shared/drop").chmod(0o1777)
    for name in ODD_NAMES:
        fill.put(f"shared/odd/{name}", name.encode(), uid=1002)


def fill_home(root: Path) -> None:
    """Fill ``root`` with the household's /home: about 400 files, 6 MB of data."""
    fill = Filler(root)
    for user in ("hanako", "taro"):
        _documents(fill, user, USERS[user])
    _links(fill)
    _special(fill)
    for user, uid in USERS.items():
        os.chown(root / user, uid, uid)
        (root / user).chmod(0o750)
    fill.set_times()


def fill_archive(root: Path) -> None:
    """Fill ``root`` with the second disk of `store`: a few larger files."""
    fill = Filler(root, SEED + 1)
    for year in range(2003, 2007):
        fill.put(f"{year}/diary.txt", fill.text(400))
        fill.put(f"{year}/archive.bin", fill.source.randbytes(1 << 20))
    fill.set_times()
