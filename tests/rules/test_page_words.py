"""No option of the command line reaches a page: the sentences of the services, in pages' words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from labpanel.lib.page_words import page_words

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PLACES = ("backups/rules", "backups/services", "hosts/rules", "hosts/services", "labpanel/moves")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
# What is a command as a whole, to be typed on a machine, stays one.
COMMANDS = re.compile(r"`[^`]*`|(?:qemu-img|btrfs|xfs_repair|systemctl|virsh|e2fsck)\b.*")


def text_of(node: ast.AST) -> str:
    """A literal, with X for each value in it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return "X"


def sentences() -> Iterator[tuple[str, str]]:
    for place in PLACES:
        for path in sorted((REPOSITORY / place).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            inner = {
                id(part)
                for n in ast.walk(tree)
                if isinstance(n, ast.JoinedStr)
                for part in n.values
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in inner:
                    text = text_of(node)
                    if " " in text and OPTION.search(COMMANDS.sub("", text)):
                        yield path.name, text


def test_every_sentence_has_words_for_pages() -> None:
    left = [
        (name, said)
        for name, text in sentences()
        if OPTION.search(COMMANDS.sub("", said := page_words(text)))
    ]
    assert left == []
    assert len(list(sentences())) >= 5, "the look finds sentences at all"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("alpha is well.", "alpha is well."),
        ("It runs -- or not.", "It runs -- or not."),
        (
            "/srv already holds a hundred images of home; choose another --path.",
            "/srv already holds a hundred images of home; choose another folder for its images.",
        ),
        (
            "The definition in X has no disk vda; choose another one (--definition), or leave vda "
            "out.",
            "The definition in X has no disk vda; choose another one, or leave vda out.",
        ),
        (
            "What reaches into beta needs your word: --drop-reach leaves it out; --accept-reach "
            "ab12 takes home as it is.",
            "What reaches into beta needs your word: one button leaves it out; a button takes "
            "home as it is.",
        ),
        (
            "Mend it, or leave it out with --drop-reach.",
            "Mend it, or tick “leave out what in its definition reaches into the host”.",
        ),
        ("Run `./panel verify x --level 2`.", "Run `./panel verify x --level 2`."),
    ],
)
def test_words(said: str, shown: str) -> None:
    assert page_words(said) == shown
    assert page_words(shown) == shown
