"""A panel goes into a file and comes back: whole, or not at all."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from django.utils import timezone

from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.here import age, sqlite_file
from labpanel.adapters.here.age import CopyKey
from labpanel.lib.panel_copy import DATABASE
from labpanel.lib.refusal import Refusal
from labpanel.panel_copies.selectors.known_copies import panel_copies
from labpanel.panel_copies.services import put_in_place
from labpanel.panel_copies.services.export_panel import export_panel
from labpanel.panel_copies.services.import_panel import Imported, import_panel
from labpanel.panel_copies.services.make_copy import copied
from labpanel.panel_copies.state import PanelState, read_key
from tests.panel_copies.conftest import dumped, files_of, passphrase

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def empty(tmp_path: Path) -> PanelState:
    home = tmp_path / "new home"
    home.mkdir(mode=0o700)
    (home / "secret.key").write_text("made by the first verb that was called here")
    (home / "secret.key").chmod(0o600)
    return PanelState(home, home / "labpanel.sqlite3")


def brought_back(state: PanelState, copy: Path) -> Imported:
    return import_panel(state, copy, passphrase, timezone.now())


def test_everything_comes_back_into_an_empty_home(
    state: PanelState, copy: Path, tmp_path: Path
) -> None:
    assert state.database is not None
    new = empty(tmp_path)
    done = brought_back(new, copy)
    assert new.database is not None
    assert dumped(new.database) == dumped(state.database)
    assert "alpha" in "\n".join(dumped(new.database))
    for name, path in state.keys().items():
        assert (new.home / name).read_bytes() == path.read_bytes()
    assert (done.aside / "secret.key").read_text().startswith("made by the first verb")
    for path in new.home.rglob("*"):
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == allowed, path
    assert (state.keys().keys()) >= {"panel-id", "secret.key", "manifest.key", "ssh/id_ed25519"}


def test_an_export_is_known_without_any_store(
    state: PanelState, key: CopyKey, tmp_path: Path
) -> None:
    before = panel_copies(state, timezone.now())
    assert (before.exported, before.trouble) == (None, "The panel itself has no copy.")
    target = tmp_path / "by hand.tar"
    size = export_panel(state, key, target, timezone.now())
    found = panel_copies(state, timezone.now())
    assert found.exported is not None
    assert (found.exported.name, found.exported.size) == (str(target), size)
    assert f"to {target}: there is no store yet." in found.trouble


@pytest.mark.parametrize(
    "note", ["", "{", "[]", '{"path": 1}', '{"path": "x", "made_at": "2026-01-01", "size": 1}']
)
def test_a_note_of_an_export_that_is_none(state: PanelState, note: str) -> None:
    (state.home / "exported.json").write_text(note)
    assert panel_copies(state, timezone.now()).exported is None


def test_what_was_there_is_kept_aside(state: PanelState, copy: Path) -> None:
    assert state.database is not None
    before = dumped(state.database)
    connection = sqlite3.connect(state.database)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("UPDATE hosts_host SET name = 'later'")
    connection.commit()
    connection.close()
    (state.home / "panel-id").write_text("00000000-0000-4000-8000-000000000000")
    done = brought_back(state, copy)
    assert dumped(state.database) == before
    assert "later" in "\n".join(dumped(done.aside / DATABASE))
    assert (done.aside / "panel-id").read_text() == "00000000-0000-4000-8000-000000000000"
    assert (state.home / "panel-id").read_text().startswith("7d0e5a52")


PUBLIC = "ssh/id_ed25519.pub"


def test_a_part_that_the_copy_lacks_does_not_stay_from_the_old_panel(
    state: PanelState, key: CopyKey, tmp_path: Path
) -> None:
    (state.home / PUBLIC).rename(tmp_path / "id.pub")
    export_panel(state, key, tmp_path / "without.tar", timezone.now())
    (tmp_path / "id.pub").rename(state.home / PUBLIC)
    done = brought_back(state, tmp_path / "without.tar")
    assert not (state.home / PUBLIC).exists()
    assert (done.aside / PUBLIC.replace("/", "-")).exists()


@pytest.mark.parametrize("name", ["manifest.key", "panel-id", "ssh/id_ed25519"])
def test_a_panel_without_a_key_is_not_copied(
    state: PanelState, key: CopyKey, tmp_path: Path, name: str
) -> None:
    (state.home / name).unlink()
    with pytest.raises(AdapterError, match=f"{name} is missing in .*: restart the panel"):
        export_panel(state, key, tmp_path / "without.tar", timezone.now())
    assert not (tmp_path / "without.tar").exists()


def test_a_machine_that_is_too_slow_is_not_a_wrong_passphrase(
    monkeypatch: pytest.MonkeyPatch, key: CopyKey
) -> None:
    """rage's words, when scrypt would take it more than sixteen seconds (age, scrypt.rs)."""
    asked: list[str] = []

    def busy(sealed: bytes, passphrase: str) -> bytes:
        asked.append(passphrase)
        raise pyrage.DecryptError("Excessive work parameter for passphrase.")

    monkeypatch.undo()  # the fixture that remembers answers
    monkeypatch.setattr(pyrage.passphrase, "decrypt", busy)
    with pytest.raises(Refused, match="too slow, or has too much to do"):
        age.open_key(key.sealed, "correct horse battery")
    assert len(asked) == age.TRIES


def test_a_database_in_use_is_copied_at_one_instant(
    state: PanelState, key: CopyKey, tmp_path: Path
) -> None:
    """With a reader, a writer in the middle of a transaction, and rows only in the side file."""
    assert state.database is not None
    writer = sqlite3.connect(state.database, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("UPDATE hosts_host SET name = 'committed'")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE hosts_host SET name = 'not yet'")
    export_panel(state, key, tmp_path / "busy.tar", timezone.now())
    writer.execute("ROLLBACK")
    writer.close()
    new = empty(tmp_path)
    brought_back(new, tmp_path / "busy.tar")
    assert new.database is not None
    text = "\n".join(dumped(new.database))
    assert "'committed'" in text
    assert "not yet" not in text


def unchanged(state: PanelState, act: Callable[[], object]) -> str:
    """The refusal's sentence; the home is as it was, and nothing is left in it."""
    before = files_of(state.home)
    with pytest.raises((Refusal, AdapterError)) as refused:
        act()
    assert files_of(state.home) == before
    said = str(refused.value)  # an exception of ours is its sentence
    assert said.endswith(".")
    return said


def test_a_wrong_passphrase(state: PanelState, copy: Path) -> None:
    said = unchanged(state, lambda: import_panel(state, copy, lambda: "wrong", timezone.now()))
    assert said == "The passphrase does not open this copy."


def test_a_file_that_exists_is_not_written_over(
    state: PanelState, key: CopyKey, tmp_path: Path
) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    said = unchanged(state, lambda: export_panel(state, key, target, timezone.now()))
    assert "exists already" in said
    assert target.read_text() == "precious"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    assert "exists already" in unchanged(
        state, lambda: export_panel(state, key, link, timezone.now())
    )


def test_truncated_and_flipped_copies(state: PanelState, copy: Path, tmp_path: Path) -> None:
    whole = copy.read_bytes()
    bad = tmp_path / "bad.tar"
    for end in (0, 1, 511, 512, 700, 1100, 2000, len(whole) // 2, len(whole) - 1025 - 512):
        bad.write_bytes(whole[:end])
        unchanged(state, lambda: brought_back(state, bad))
    step = max(1, len(whole) // 60)
    refused = 0
    for at in range(0, len(whole) - 1100, step):
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            brought_back(state, bad)
        except (Refusal, AdapterError):
            refused += 1
    assert refused >= 50  # what RECOVER.txt says, or a header's date, is held against nothing


def test_a_database_of_a_newer_version_is_refused(
    state: PanelState, key: CopyKey, tmp_path: Path
) -> None:
    assert state.database is not None
    connection = sqlite3.connect(state.database)
    connection.execute(
        "INSERT INTO django_migrations (app, name, applied) VALUES ('hosts', '0999_x', '2026')"
    )
    connection.commit()
    connection.close()
    export_panel(state, key, tmp_path / "newer.tar", timezone.now())
    said = unchanged(state, lambda: brought_back(state, tmp_path / "newer.tar"))
    assert "newer labpanel (its database has hosts.0999_x): update first" in said


def test_something_else_is_refused(state: PanelState, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"\0" * 4096)
    assert "not a copy of a panel" in unchanged(state, lambda: brought_back(state, other))
    mail = own_copies(state) / "mail.db"
    sqlite3.connect(mail).execute("CREATE TABLE mail (id)").connection.close()
    mail.chmod(0o600)
    said = unchanged(state, lambda: brought_back(state, mail))
    assert "not the database of a panel" in said


def own_copies(state: PanelState) -> Path:
    folder = state.home / "copies"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def test_a_database_alone_leaves_the_keys(state: PanelState) -> None:
    assert state.database is not None
    before = own_copies(state) / "before-20261127T090000Z.sqlite3"
    sqlite_file.snapshot(state.database, before)
    keys = {name: path.read_bytes() for name, path in state.keys().items()}
    done = import_panel(state, before, passphrase, timezone.now())
    assert done.made_at is None
    assert {name: path.read_bytes() for name, path in state.keys().items()} == keys


def test_a_panel_that_runs_is_left_alone(state: PanelState, copy: Path) -> None:
    taker = (
        "import pathlib, sys; from labpanel.supervise.claim import Claim;"
        "Claim(pathlib.Path(sys.argv[1])).take(); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", taker, str(state.home)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert "is running" in unchanged(state, lambda: brought_back(state, copy))
    finally:
        holder.communicate()


def test_a_database_that_a_process_has_open_is_left_alone(state: PanelState, copy: Path) -> None:
    """In containers no process holds the home's lock."""
    assert state.database is not None
    user = sqlite3.connect(state.database)
    user.execute("PRAGMA journal_mode=WAL")
    user.execute("SELECT count(*) FROM hosts_host").fetchone()
    with pytest.raises(AdapterError, match="is in use"):
        brought_back(state, copy)
    user.close()
    brought_back(state, copy)


def test_a_damaged_database_gives_no_copy(state: PanelState, key: CopyKey, tmp_path: Path) -> None:
    assert state.database is not None
    poke(state.database)
    with (
        pytest.raises(AdapterError, match="cannot be copied"),
        copied(state, key, timezone.now()),
    ):
        pass
    assert not list(state.home.glob("making-copy-*"))


def poke(database: Path) -> None:
    """Overwrite the second half of the pages."""
    with database.open("r+b") as file:
        size = database.stat().st_size
        file.seek(size // 2)
        file.write(b"\xa5" * (size - size // 2))


def steps_until(act: Callable[[], object], step: int) -> bool:
    """Run `act` in a child that is killed before its `step`-th rename, unlink or rmdir; whether it
    came to its end before."""
    child = os.fork()
    if child == 0:
        count = [0]

        def watched(event: str, _: object) -> None:
            if event in {"os.rename", "os.remove", "os.rmdir"}:
                count[0] += 1
                if count[0] == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(watched)
            act()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or status == 0
    return status == 0


def test_killed_at_each_step_it_is_the_old_panel_or_the_new_one(
    state: PanelState, copy: Path, tmp_path: Path
) -> None:
    assert state.database is not None
    new = (dumped(state.database), (state.home / "panel-id").read_bytes())
    age.open_key(read_key(state.home).sealed, passphrase())  # type: ignore[union-attr]
    seen = set()
    for step in range(1, 60):
        home = tmp_path / f"home{step}"
        home.mkdir(mode=0o700)
        (home / "panel-id").write_text("00000000-0000-4000-8000-000000000000")
        old = PanelState(home, home / "labpanel.sqlite3")
        assert old.database is not None
        sqlite3.connect(old.database).execute("CREATE TABLE old (id)").connection.close()
        before = (dumped(old.database), (home / "panel-id").read_bytes())
        over = steps_until(lambda old=old: brought_back(old, copy), step)  # type: ignore[misc]
        put_in_place.go_on(old)
        after = (dumped(old.database), (home / "panel-id").read_bytes())
        assert after in (before, new), f"half and half when killed at step {step}"
        assert not (home / "import-ready").exists()
        seen.add(after == new)
        if over:
            break
        assert brought_back(old, copy).panel_id  # and what a killed one left is in no one's way
    assert over
    assert seen == {True, False}
