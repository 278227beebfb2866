"""Which databases need no passphrase: those that this panel itself put into its private folder."""

import os
import stat
from pathlib import Path

from labpanel.lib.refusal import Refusal
from labpanel.panel_copies.state import BEFORE

_OTHERS = 0o077


def check_own(database: Path, home: Path) -> None:
    """Raises Refusal unless `database` is a file of the panel's user alone that lies, by no link,
    in the folder for copies before an update. Another database in its place would let its maker
    sign in."""
    folder = home.resolve() / BEFORE
    place = database.parent.resolve() / database.name
    if place.parent != folder or not (_is_private(folder) and _is_private(place)):
        raise Refusal(
            f"{database} is a bare database, which opens without a passphrase: only those in "
            f"{folder} are taken, private to the panel's user. If you made it yourself, move it "
            "there with mode 600."
        )


def _is_private(path: Path) -> bool:
    status = path.lstat()
    kind = stat.S_IFMT(status.st_mode)
    mine = status.st_uid == os.geteuid() and not status.st_mode & _OTHERS
    return mine and kind in {stat.S_IFREG, stat.S_IFDIR}
