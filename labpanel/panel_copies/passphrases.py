"""A passphrase from a terminal without echo, or from a file; never from the command line, which
every user of the machine can read."""

import argparse
import getpass
import sys
from pathlib import Path

from labpanel.lib.refusal import Refusal

_MOST_BYTES = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase-file", metavar="PATH", help="take it from the first line of a file"
    )


def ask(options: argparse.Namespace, prompt: str = "Passphrase: ") -> str:
    """From the file, else asked on the terminal, else the first line of standard input. Raises
    Refusal where there is none."""
    if options.passphrase_file:
        return _from_file(Path(options.passphrase_file))
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return _first_line(sys.stdin.readline(_MOST_BYTES + 1), "Standard input")


def ask_twice(options: argparse.Namespace) -> str:
    """A new one. Raises Refusal if the two are not the same."""
    first = ask(options, "New passphrase: ")
    if options.passphrase_file or not sys.stdin.isatty():
        return first
    if getpass.getpass("The same again: ") != first:
        raise Refusal("The two passphrases differ; nothing was changed.")
    return first


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Refusal(f"The passphrase cannot be read from {path}: {why}.") from error
    return _first_line(text, str(path))


def _first_line(text: str, where: str) -> str:
    line = text.splitlines()[0] if text else ""
    if not line or len(text) > _MOST_BYTES:
        raise Refusal(f"{where} holds no passphrase in its first line; see --passphrase-file.")
    return line
