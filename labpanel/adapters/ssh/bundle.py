"""A program of labpanel/onhost with all modules that it imports, as text to be sent to a machine.

Which modules belong to a program is found from its imports: none can be forgotten. Only modules of
`labpanel.onhost` and `labpanel.lib` are sent; what a machine has is its own standard library (and
python3-libnbd or libguestfs where a program says so).
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import labpanel
from labpanel.adapters.errors import Missing

ROOM = "labpanel.onhost"
WIRE = f"{ROOM}.runtime.wire"
_SENT = (f"{ROOM}.", "labpanel.lib.")
_TOP = Path(labpanel.__file__).parents[1]


@cache
def modules_of(program: str) -> tuple[str, ...]:
    """The full names of the modules of a program, `"store.keeper"`: each after those that it
    imports, the program itself last, the wire among them."""
    found: dict[str, None] = {}
    for name in (WIRE, f"{ROOM}.{program}"):
        _collect(name, found)
    return tuple(found)


def sources_of(program: str) -> list[tuple[str, str]]:
    """Names and texts in the order in which they are run; packages come first and are empty."""
    names = modules_of(program)
    packages = sorted({package for name in names for package in _packages(name)})
    return [*((package, "") for package in packages), *((name, text_of(name)) for name in names)]


@cache
def text_of(name: str) -> str:
    """The text of a module by its full name. Raises Missing where there is none."""
    try:
        return _path(name).read_text("utf-8")
    except FileNotFoundError:
        raise Missing(f"labpanel has no module {name} to send to a host.") from None


def _collect(name: str, found: dict[str, None]) -> None:
    if name in found:
        return
    for other in _imported(name):
        _collect(other, found)
    found[name] = None


def _imported(name: str) -> Iterator[str]:
    """The modules of ours that a module imports at its top."""
    for node in ast.parse(text_of(name)).body:
        if isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
            if _path(node.module).exists():
                yield node.module
            else:
                yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if _is_ours(one.name))


def _is_ours(name: str) -> bool:
    return f"{name}.".startswith(_SENT)


def _packages(name: str) -> Iterator[str]:
    parts = name.split(".")[:-1]
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _path(name: str) -> Path:
    return _TOP / f"{name.replace('.', '/')}.py"
