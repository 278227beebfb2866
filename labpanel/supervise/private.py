"""The panel's folder holds keys to every host: no other user may read it, or swap it for another.

`python -m labpanel.supervise.private` is the check alone, for a container's start.
"""

import os
import shlex
import stat
import sys
from collections.abc import Set
from grp import getgrgid
from pathlib import Path
from pwd import getpwall, getpwuid

from labpanel import env

UMASK = 0o077
OTHERS = 0o077
# Folders of the panel's own inside its home; what else lies there (a demo's, a package manager's)
# is behind the home's own mode.
FOLDERS = ("ssh", "log", "copies")


class NotPrivate(Exception):
    """Others can get at the panel's folder; the text is one sentence and the command."""


def check(home: Path) -> None:
    """Make `home` if it is not there, refuse it if others can read it (NotPrivate), and take from
    others what earlier releases let them read inside."""
    os.umask(UMASK)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = home.stat()
    if status.st_uid != os.geteuid():
        raise NotPrivate(
            f"{home} belongs to user {status.st_uid}, and the panel runs as user {os.geteuid()}. "
            f"Run it as that user, or run: chown -R {os.geteuid()} {shlex.quote(str(home))}"
        )
    if status.st_mode & OTHERS:
        raise NotPrivate(
            f"Other users of this machine can get into {home}, which holds the panel's keys. "
            f"Run: chmod -R go= {shlex.quote(str(home))}"
        )
    _check_parents(home)
    for folder in (home, *(home / name for name in FOLDERS)):
        _close(folder)


def _check_parents(home: Path) -> None:
    """Who may rename a folder on the way may put one of their own in its place."""
    # Who owns the code could as well change what it does: `sudo ./panel demo` in a user's clone.
    trusted = {0, os.geteuid(), env.REPOSITORY.stat().st_uid}
    for folder in home.parents:
        status = folder.stat()
        if status.st_uid not in trusted:  # whom the sticky bit does not bind
            raise NotPrivate(
                f"The user {_user(status.st_uid)} can replace {home}, because {folder} is theirs. "
                "Run the panel as that user, or set LABPANEL_HOME to another folder."
            )
        if status.st_mode & stat.S_ISVTX:
            continue
        quoted = shlex.quote(str(folder))
        if status.st_mode & stat.S_IWOTH:
            raise NotPrivate(
                f"Other users of this machine can replace {home}, because they can write to "
                f"{folder}. Run: chmod o-w {quoted}"
            )
        if status.st_mode & stat.S_IWGRP and (group := _shared_group(status.st_gid, trusted)):
            raise NotPrivate(
                f"The group {group} can replace {home}, because it can write to {folder}. "
                f"Run: chmod g-w {quoted}"
            )


def _shared_group(gid: int, trusted: Set[int]) -> str:
    """The name of a group that has members besides the trusted ones; "". Users' own groups have
    none, and Debian's staff, which may write to /var/local and /usr/local, none at first."""
    try:
        group = getgrgid(gid)
    except KeyError:  # a container sees only the number of its host's
        return ""
    users = getpwall()
    known = {user.pw_name for user in users if user.pw_uid in trusted}
    members = {*group.gr_mem, *(user.pw_name for user in users if user.pw_gid == gid)}
    return group.gr_name if members - known else ""


def _user(uid: int) -> str:
    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _close(folder: Path) -> None:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_file(follow_symlinks=False) or (
            entry.is_dir(follow_symlinks=False) and entry.name in FOLDERS
        ):
            mode = entry.stat(follow_symlinks=False).st_mode
            if mode & OTHERS:
                Path(entry.path).chmod(stat.S_IMODE(mode) & ~OTHERS)


def main() -> int:
    try:
        check(env.home())
    except (NotPrivate, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
