"""The sentences of the product's Python: what a user reads on a page, in an answer, in a shell.

A sentence is a string of two words or more that is neither a docstring, nor a line of the log, nor
meant for another program. The parts of an f-string that are filled in are named as the code names
them: `f"{vm.name} is on {host}."` reads "{vm} is on {host}.".
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ("hosts", "backups", "labpanel")
LEFT_OUT = "migrations"  # no text of the schema's history reaches a user

_WORDS = re.compile(r"[A-Za-z’'}][,;:.]? [A-Za-z{“]")
# XML, SQL, shell, Python, types, patterns: what another program reads.
_OTHER = re.compile(
    r"</|/>|<\w+[ >]|%\(|^(PRAGMA|SELECT|INSERT|UPDATE|CREATE|DROP) |\\d|&&|\$\{|; then|\beval "
    r"|\(\?:|^\w+\[.*\]$|; charset=|[\x00-\x09]|import \w+,|-----"
)
_LOGS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_DULL = {"name", "pk"}  # `vm.name` is told as {vm}


def product() -> Iterator[Path]:
    """The Python files of the product, in order."""
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if LEFT_OUT not in path.parts:
                yield path


def sentences(source: str) -> list[str]:
    """All sentences of one file, in order, each once."""
    tree = ast.parse(source)
    skipped = _not_said(tree)
    found = [
        text
        for node in _strings(tree, skipped)
        if _WORDS.search(text := _text(node)) and not _OTHER.search(text)
    ]
    return list(dict.fromkeys(found))


def _not_said(tree: ast.Module) -> set[ast.AST]:
    """Docstrings, and what goes to the log."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                skipped.add(node.value)
            case ast.Call(func=ast.Attribute(attr=verb, value=ast.Name(id=name))) if (
                verb in _LOGS and "log" in name
            ):
                skipped.update(node.args)
            case ast.Dict(keys=keys):
                skipped.update(key for key in keys if key is not None)
    return skipped


def _strings(node: ast.AST, skipped: set[ast.AST]) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Every string below a node, outermost and in the order of the text."""
    if node in skipped:
        return
    if isinstance(node, ast.JoinedStr):
        yield node
        for part in node.values:  # strings that are chosen within an f-string
            if isinstance(part, ast.FormattedValue):
                yield from _strings(part.value, skipped)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node
    else:
        for below in ast.iter_child_nodes(node):
            yield from _strings(below, skipped)


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(
        "{" + _name(part.value) + "}" if isinstance(part, ast.FormattedValue) else _text(part)
        for part in node.values
        if isinstance(part, ast.FormattedValue | ast.Constant)
    )


def _name(node: ast.expr) -> str:
    """What fills a gap, in one word."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name, value=value):
            return _name(value) if name in _DULL else name.strip("_")
        case ast.Call(args=[first, *_]):
            return _name(first)
        case ast.Call(func=func):
            return _name(func)
        case ast.Subscript(value=value):
            return _name(value)
        case ast.IfExp(body=body, orelse=orelse):
            return next(
                (name for each in (body, orelse) if (name := _name(each)) != "part"), "part"
            )
        case _:
            return "part"
