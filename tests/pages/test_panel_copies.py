"""Pages and verbs that tell whether the panel itself has a copy."""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from labpanel.adapters.here import age
from labpanel.adapters.here.age import CopyKey
from labpanel.adapters.store.panel_copies import CopyFile
from labpanel.cli.management.commands.panel import Command
from labpanel.lib.panel_copy import name_at
from labpanel.panel_copies import record
from labpanel.panel_copies.services.choose_passphrase import LEAST
from labpanel.panel_copies.state import KEY_FILE, read_key, write_key
from tests.pages.lab import Lab

PASSPHRASE = "correct horse battery"

HOME = Path(settings.HOME_DIR)

# A panel on PostgreSQL is copied by PostgreSQL's own means.
pytestmark = pytest.mark.sqlite


@pytest.fixture(scope="module")
def key() -> CopyKey:
    return age.make_key(PASSPHRASE)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's own home, as it was."""
    for view in ("overview", "settings"):
        where = f"labpanel.home.views.{view}.public_key"
        monkeypatch.setattr(where, lambda: "ssh-ed25519 AAAA panel")
    yield
    for name in (KEY_FILE, record.FILE):
        (HOME / name).unlink(missing_ok=True)


def shown(client: Client) -> tuple[str, str]:
    return (client.get("/").content.decode(), client.get("/settings/").content.decode())


def known(ages: list[timedelta], error: str = "") -> None:
    copies = tuple(CopyFile(name_at(timezone.now() - age), 1 << 20) for age in sorted(ages)[::-1])
    host = ("<b>beta</b>", "root@beta", "")
    record.write(
        HOME, [record.StoreCopies("far", "1", "/srv/<i>", *host, error=error, copies=copies)]
    )


def test_without_a_passphrase_both_pages_say_so_and_what_to_do(signed_in: Client, lab: Lab) -> None:
    first, second = shown(signed_in)
    assert "The panel itself has no copy." in first
    assert "/settings/#panel-copies" in first
    assert "The panel itself has no copy." in second
    assert "./panel passphrase" in second


def test_with_a_fresh_copy_the_overview_is_silent(
    signed_in: Client, lab: Lab, key: CopyKey
) -> None:
    write_key(HOME, key)
    known([timedelta(hours=3), timedelta(hours=27)], "beta does not <answer>.")
    first, second = shown(signed_in)
    assert "own-copies" not in first
    assert "newest 3" in second
    assert "/srv/&lt;i&gt; on &lt;b&gt;beta&lt;/b&gt;" in second
    assert "beta does not &lt;answer&gt;." in second


@pytest.mark.parametrize("ages", [[timedelta(days=3)], [timedelta(days=-900), timedelta(days=3)]])
def test_an_old_one_is_named_also_beside_one_from_the_future(
    signed_in: Client, lab: Lab, key: CopyKey, ages: list[timedelta]
) -> None:
    write_key(HOME, key)
    known(ages)
    first, second = shown(signed_in)
    assert "The newest copy of the panel itself was made 3" in first
    assert "The newest copy of the panel itself was made 3" in second


def run(*words: str) -> int:
    return Command().dispatch(list(words))


def test_the_verb_lists_them(db: None, key: CopyKey, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("copies") == 0
    assert "has no copy. Choose a passphrase with `./panel passphrase`" in capsys.readouterr().err
    write_key(HOME, key)
    known([timedelta(hours=3)])
    assert run("copies", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["passphrase_chosen"] is True
    assert answer["stores"][0]["copies"][0]["path"].startswith("/srv/<i>/panel-copies/")


def test_a_passphrase_comes_from_a_file_or_standard_input_never_from_the_line(
    db: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "passphrase"
    for text, said in (
        ("", "holds no passphrase"),
        ("x" * (LEAST - 1), "are the least"),
        ("x" * 5000, "holds no passphrase"),
    ):
        file.write_text(text)
        status = run("passphrase", "--passphrase-file", str(file))
        heard = capsys.readouterr().err
        assert (status, said in heard, len(heard.splitlines())) == (1, True, 1)
    assert run("passphrase", "--passphrase-file", str(tmp_path / "none")) == 1
    assert run("passphrase", "a passphrase in argv") == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSPHRASE}\n"))
    assert run("passphrase") == 0
    assert read_key(HOME) is not None
    assert (HOME / KEY_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"recipient": 1, "sealed": 2}', "[" * 100_000]
)
def test_a_damaged_key_is_none(text: str) -> None:
    (HOME / KEY_FILE).write_text(text)
    assert read_key(HOME) is None
