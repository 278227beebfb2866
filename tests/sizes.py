"""Sizes of files and functions: hard limits, and the aims that keep the code readable.

Run by `./panel check`. Lines are counted as an editor shows them, functions with their docstring.
"""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("labpanel", "hosts", "backups", "lab", "tests", "templates", "static")
SUFFIXES = {".py", ".html", ".css", ".js", ".sh"}

# What (hard limit, aimed-at median, aimed-at 90th percentile), in lines.
FILE = (400, 80, 200)
FUNCTION = (60, 8, 30)


def sources() -> Iterator[Path]:
    """Files written by hand: no migrations, nothing fetched."""
    yield from (ROOT / "panel", ROOT / "manage.py")
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and "migrations" not in path.parts:
                yield path


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name with line number, and length, of every function in a Python file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            end = node.end_lineno or node.lineno
            place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            yield place, end - node.lineno + 1


def judge(what: str, sizes: dict[str, int], limits: tuple[int, int, int]) -> bool:
    """Print the spread and every breach of the hard limit; True when there is none."""
    hard, median, ninth = limits
    lengths = sorted(sizes.values())
    found = statistics.median(lengths)
    p90 = lengths[int(0.9 * (len(lengths) - 1))]
    print(
        f"{what}: {len(lengths)}, median {found:g} (aim {median}), "
        f"90 % {p90} (aim {ninth}), longest {lengths[-1]} (limit {hard})"
    )
    over = {place: length for place, length in sizes.items() if length > hard}
    for place, length in sorted(over.items()):
        print(f"  {place}: {length} lines, the limit is {hard}", file=sys.stderr)
    return not over


def main() -> int:
    paths = list(sources())
    files = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in paths
    }
    inside = dict(found for path in paths if path.suffix == ".py" for found in functions(path))
    fine = [judge("files", files, FILE), judge("functions", inside, FUNCTION)]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
