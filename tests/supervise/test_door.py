"""`./panel` itself: called from anywhere, under any name, with nonsense."""

import subprocess
from pathlib import Path

import pytest

PANEL = Path(__file__).resolve().parent.parent.parent / "panel"


def call(*words: str, program: Path = PANEL, cwd: Path | None = None) -> tuple[int, str]:
    done = subprocess.run(
        [str(program), *words],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("verb", ["frobnicate", "../labpanel", "__init__", "a b", "-x", "'"])
def test_an_unknown_verb_is_one_sentence(verb: str) -> None:
    assert call(verb) == (2, f"./panel: there is no verb '{verb}'; ./panel help lists them.\n")


def test_through_a_link_from_elsewhere(tmp_path: Path) -> None:
    link = tmp_path / "the panel"
    link.symlink_to(PANEL)
    status, said = call("frobnicate", program=link, cwd=tmp_path)
    assert (status, len(said.splitlines())) == (2, 1)


@pytest.mark.parametrize("verb", ["demo", "down", "install", "check", "lock", "test"])
@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_printed_and_nothing_begins(verb: str, word: str, tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    copy.mkdir()
    for part in ("panel", "labpanel"):
        (copy / part).symlink_to(PANEL.parent / part)
    status, said = call(verb, word)
    assert status == 0
    assert f"./panel {verb}" in said
    assert not said.startswith("./panel: bringing")


def test_demo_takes_no_other_option() -> None:
    status, said = call("demo", "--faster")
    assert status == 2
    assert "--detach or --stop" in said
