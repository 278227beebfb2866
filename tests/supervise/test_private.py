"""The panel's folder is for its owner alone."""

import grp
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from labpanel import env
from labpanel.lib.shapes import Endpoint
from labpanel.supervise import private

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("open_to", [0o755, 0o750, 0o701, 0o740])
def test_a_folder_that_others_get_into_is_refused_with_the_command(
    tmp_path: Path, open_to: int
) -> None:
    home = tmp_path / "it's home"
    home.mkdir(mode=0o700)
    home.chmod(open_to)
    with pytest.raises(private.NotPrivate) as refused:
        private.check(home)
    command = str(refused.value).partition("Run: ")[2]
    subprocess.run(["sh", "-c", command], check=True, timeout=20)
    private.check(home)


def test_a_fresh_one_is_made_private_whatever_the_umask(tmp_path: Path) -> None:
    private.check(tmp_path / "a" / "home")
    assert mode(tmp_path / "a" / "home") == 0o700
    (tmp_path / "a" / "home" / "new").write_text("x")
    assert mode(tmp_path / "a" / "home" / "new") == 0o600


def test_what_an_earlier_release_left_readable_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "ssh").mkdir(parents=True)
    (home / "static").mkdir()
    elsewhere = tmp_path / "elsewhere"
    files = [home / "labpanel.sqlite3", home / "labpanel.sqlite3-wal", home / "ssh" / "id"]
    for file in (*files, elsewhere, home / "static" / "base.css"):
        file.write_text("x")
        file.chmod(0o644)
    (home / "link").symlink_to(elsewhere)
    home.chmod(0o700)
    private.check(home)
    assert {mode(file) for file in files} == {0o600}
    assert mode(home / "ssh") == 0o700
    assert mode(elsewhere) == 0o644


def test_one_that_others_can_replace_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(private.NotPrivate, match="chmod o-w"):
        private.check(shared / "home")
    shared.chmod(0o1777)
    private.check(shared / "home")


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """This machine's groups and users are not ours to change."""

    def set_to(members: list[str], primary: list[str]) -> None:
        users = [(name, 4711, 5000 + n) for n, name in enumerate(primary)]
        users.append(("root", 0, 0))
        monkeypatch.setattr(
            private, "getgrgid", lambda gid: grp.struct_group(("friends", "x", gid, members))
        )
        monkeypatch.setattr(
            private,
            "getpwall",
            lambda: [pwd.struct_passwd((n, "x", u, g, "", "/", "/bin/sh")) for n, g, u in users],
        )

    return set_to


@pytest.mark.parametrize(
    ("members", "primary"), [(["alice"], []), ([], ["alice"]), (["root", "alice"], [])]
)
def test_one_that_a_group_can_replace_is_refused(
    tmp_path: Path, people: Callable[..., None], members: list[str], primary: list[str]
) -> None:
    people(members, primary)
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, -1, 4711 if os.geteuid() == 0 else -1)
    shared.chmod(0o770)
    with pytest.raises(private.NotPrivate, match="group friends .*chmod g-w"):
        private.check(shared / "home")
    shared.chmod(0o1770)
    private.check(shared / "home")


@needs_root
@pytest.mark.parametrize("members", [[], ["root"]])
def test_a_group_without_others_is_harmless(
    tmp_path: Path, people: Callable[..., None], members: list[str]
) -> None:
    """As a user's own group (umask 002), or Debian's staff on /var/local."""
    people(members, [])
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, -1, 4711)
    shared.chmod(0o2775)
    private.check(shared / "home")


def test_a_group_that_is_only_a_number_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container sees those of its host."""
    monkeypatch.setattr(private, "getgrgid", {}.__getitem__)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o770)
    private.check(shared / "home")


@needs_root
@pytest.mark.parametrize("mode", [0o700, 0o1777])
def test_one_in_a_folder_of_another_user_is_refused(tmp_path: Path, mode: int) -> None:
    """The sticky bit does not bind the folder's owner."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 4711, -1)
    theirs.chmod(mode)
    with pytest.raises(private.NotPrivate, match="user 4711 .*can replace .*LABPANEL_HOME"):
        private.check(theirs / "home")


@needs_root
def test_the_owner_of_the_code_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo ./panel demo` in a user's clone: that user could change the program itself."""
    clone = tmp_path / "clone"
    clone.mkdir()
    os.chown(clone, 4711, -1)
    monkeypatch.setattr(env, "REPOSITORY", clone)
    private.check(clone / "var")


def test_the_start_says_it_in_one_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "labpanel.supervise", "up", "--detach"],
        cwd=REPOSITORY,
        env={**os.environ, "LABPANEL_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert f"chmod -R go= {home}" in done.stderr
    assert list(home.iterdir()) == []


def test_a_runtime_folder_that_is_a_link_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env, "_runtime_base", lambda: tmp_path)
    made = env.runtime()
    assert mode(made) == 0o700
    made.chmod(0o755)
    assert mode(env.runtime()) == 0o700
    made.rmdir()
    (tmp_path / "victim").mkdir()
    made.symlink_to(tmp_path / "victim")
    with pytest.raises(ImproperlyConfigured, match="remove it"):
        env.runtime()


def test_what_is_made_for_vms_on_this_machine_is_not_locked_away(tmp_path: Path) -> None:
    """QEMU runs as a user of its own, and the panel's umask is no business of its images."""
    from labpanel.adapters.ssh.machine import Machine

    os.umask(0o077)
    Machine(Endpoint("here", "local")).run(["mkdir", str(tmp_path / "images")], deadline=20)
    assert mode(tmp_path / "images") == 0o755
