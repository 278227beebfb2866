"""A SQLite database as a file: copied while it is in use, and looked at before it is believed.

What is believed of a file from elsewhere follows https://www.sqlite.org/security.html.
"""

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from labpanel.adapters.errors import AdapterError, Refused
from labpanel.lib.printable import printable

CHECK_SECONDS = 60.0
WHOLE_CHECK_SECONDS = 900.0
BUSY_SECONDS = 20.0
LOOK_SECONDS = 20.0
MOST_MIGRATIONS = 10_000
_MOST_SCHEMA = 10_000  # entries
_MOST_BYTES = 1 << 20  # of one value, and of one statement
MAGIC = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat.html, 1.3
_STEPS = 100_000  # of SQLite's virtual machine, between two looks at the clock
# As SQLite writes them down. An entry's type is only a word; its statement is what is carried out.
_HARMLESS = re.compile(r"CREATE (TABLE|INDEX|UNIQUE INDEX) ")


def is_one(path: Path) -> bool:
    """Whether a file says that it is a database. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def snapshot(database: Path, target: Path) -> None:
    """Write a consistent copy of a database, in use or not, to a path that must not exist yet.

    Raises AdapterError with SQLite's words: a database that is damaged where rows lie, or a disk
    that is full, gives no copy. The file is on the disk when this returns.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_open(database)) as connection:
            # An empty file is taken as an empty database: its mode stays (sqlite.org/lang_vacuum).
            connection.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise AdapterError(f"The database {database} cannot be copied: {error}.") from error
    with target.open("rb") as file:
        os.fsync(file.fileno())


def fault(database: Path, *, whole: bool = False) -> str:
    """What is wrong with a database, in SQLite's words; "" if nothing is, or if the check took
    longer than CHECK_SECONDS (WHOLE_CHECK_SECONDS). `whole` holds indexes against tables too.
    """
    seconds = WHOLE_CHECK_SECONDS if whole else CHECK_SECONDS
    try:
        with _looking(database, seconds) as connection:
            pragma = "integrity_check" if whole else "quick_check"
            found = connection.execute(f"PRAGMA {pragma}(1)").fetchone()
    except sqlite3.OperationalError as error:
        interrupted = error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
        return "" if interrupted else str(error)
    except sqlite3.Error as error:
        return str(error)
    return "" if found == ("ok",) else str(found[0]).splitlines()[-1]


def check_schema(database: Path) -> None:
    """Raises Refused unless there are only tables and indexes: views, triggers and virtual tables
    run whenever a table that they name is read or written."""
    try:
        with _looking(database, LOOK_SECONDS) as connection:
            _check_schema(database, connection)
    except sqlite3.Error as error:
        raise _no_panel(database, error) from error


def applied(database: Path) -> frozenset[tuple[str, str]]:
    """Django's migrations, as (app, name), that a database went through. Raises Refused if it is
    no database of a panel, or more than tables and indexes."""
    try:
        with _looking(database, LOOK_SECONDS) as connection:
            _check_schema(database, connection)
            found = connection.execute(
                "SELECT app, name FROM django_migrations LIMIT ?", (MOST_MIGRATIONS + 1,)
            ).fetchall()
    except sqlite3.Error as error:
        raise _no_panel(database, error) from error
    if len(found) > MOST_MIGRATIONS:
        raise _no_panel(database, f"it names more than {MOST_MIGRATIONS} migrations")
    return frozenset((str(app), str(name)) for app, name in found)


def rows(database: Path, table: str) -> int:
    """How many rows there are in `table`, a name and perhaps a condition written in this program;
    0 if there is no such table."""
    try:
        with closing(_open(database)) as connection:
            found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    except sqlite3.Error:
        return 0
    return int(found[0])


def settle(database: Path) -> None:
    """Bring what lies in the side files (-wal) into the database, and remove them. Raises Refused
    while any other process has it open: only then SQLite gives the journal mode up."""
    try:
        with closing(_open(database, seconds=2)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise Refused(
                f"The database {database} is in use: stop the panel first (./panel down)."
            ) from error
        raise AdapterError(f"The database {database} cannot be settled: {error}.") from error
    except sqlite3.Error as error:
        raise AdapterError(f"The database {database} cannot be settled: {error}.") from error


def side_files(database: Path) -> list[Path]:
    """The files that belong to a database besides itself."""
    return [database.with_name(database.name + tail) for tail in ("-wal", "-shm", "-journal")]


def _check_schema(database: Path, connection: sqlite3.Connection) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    entries = connection.execute(
        "SELECT type, name, sql FROM sqlite_master LIMIT ?", (_MOST_SCHEMA,)
    )
    number = 0
    for kind, name, sql in entries:
        number += 1
        made_along = sql is None and kind == "index"  # for a UNIQUE or a PRIMARY KEY
        if not made_along and not _HARMLESS.match(str(sql)):
            shown = printable(f"{kind} {name}", 80)
            raise _no_panel(database, f"it has more than tables and indexes: {shown}")
    if number >= _MOST_SCHEMA:
        raise _no_panel(database, f"it has {_MOST_SCHEMA} tables and indexes or more")


def _no_panel(database: Path, why: object) -> Refused:
    return Refused(f"{database.name} is not the database of a panel: {why}.")


@contextmanager
def _looking(database: Path, seconds: float) -> Iterator[sqlite3.Connection]:
    """For questions alone, which end after `seconds`."""
    until = time.monotonic() + seconds
    with closing(_open(database)) as connection:
        connection.set_progress_handler(lambda: int(time.monotonic() > until), _STEPS)
        yield connection


def _open(database: Path, seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """An existing file only: SQLite would make an empty one.

    Its schema stays trusted: SQLite 3.40 does not take JSON_VALID, which Django's JSON fields
    check, for harmless. No function of this program's is known to these connections.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(database))}?mode=rw", uri=True, timeout=seconds, isolation_level=None
    )
    connection.execute("PRAGMA cell_size_check=ON")
    return connection
