"""The programs for hosts, beside what asks them and where they run."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

import labpanel.onhost
from labpanel.adapters.ssh import bundle
from labpanel.adapters.ssh.machine import PYTHON
from tests.adapters import front_calls
from tests.adapters.front_calls import Call

ONHOST = Path(labpanel.onhost.__file__).parent
PROGRAMS = sorted(
    ".".join(path.relative_to(ONHOST).with_suffix("").parts)
    for path in ONHOST.rglob("*.py")
    if any(getattr(node, "name", "") == "main" for node in ast.parse(path.read_text()).body)
)
FRONTS = {front.name: front for front in front_calls.fronts()}
CALLS = [call for front in FRONTS.values() for call in front_calls.calls_of(front)]
# What a host may have beside its own Python.
PACKAGES = {"nbd", "guestfs"}
# Reads sources as a host does; says of each verb which keywords it must and may get.
SIGNATURES = """
import inspect, json, sys, types, __future__
for name in ("nbd", "guestfs"):
    sys.modules[name] = types.ModuleType(name)
for name, source in json.load(sys.stdin):
    module = sys.modules[name] = types.ModuleType(name)
    flags = __future__.annotations.compiler_flag
    exec(compile(source, name, "exec", flags), module.__dict__)
found = {}
for verb, function in module.VERBS.items():
    given = inspect.signature(function).parameters.values()
    must = [one.name for one in given if one.default is one.empty]
    found[verb] = [must, [one.name for one in given]]
print(json.dumps(found))
"""


@cache
def signatures(program: str) -> dict[str, tuple[list[str], list[str]]]:
    """Verb → keywords that it must get, and all that it takes."""
    done = subprocess.run(
        [PYTHON, "-I", "-c", SIGNATURES],
        input=json.dumps(bundle.sources_of(program)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, tuple[list[str], list[str]]] = json.loads(done.stdout)
    return found


def complaint(call: Call) -> str:
    """Why the program refuses this call; empty if it takes it."""
    verbs = signatures(FRONTS[call.front].program)
    if call.verb not in verbs:
        return f"there is no verb {call.verb}"
    must, may = verbs[call.verb]
    given = set(call.keywords)
    lacks, knows_not = sorted(set(must) - given), sorted(given - set(may))
    return f"lacks {lacks}, does not know {knows_not}" if lacks or knows_not else ""


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.front}.{call.method} {call.verb}")
def test_a_program_takes_what_its_front_asks(call: Call) -> None:
    assert complaint(call) == ""


def test_what_a_program_does_not_take_is_found() -> None:
    (right,) = {call for call in CALLS if (call.front, call.method) == ("Differ", "prove")}
    assert complaint(right) == ""
    assert complaint(replace(right, verb="rewind")) == "there is no verb rewind"
    wrong = replace(right, keywords=("disc", *right.keywords[1:]))
    assert complaint(wrong) == f"lacks ['{right.keywords[0]}'], does not know ['disc']"


def test_every_call_of_every_front_was_read() -> None:
    """A call outside of a front, or of a program without a name, would be held against nothing."""
    there = [
        node
        for path in front_calls.ADAPTERS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if front_calls.is_session_call(node)
    ]
    read = {
        id(node)
        for front in FRONTS.values()
        for method in front.methods.values()
        for node in ast.walk(method)
        if front_calls.is_session_call(node)
    }
    assert len(there) == len(read)
    assert {call.front for call in CALLS} == set(FRONTS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_brings_all_that_it_imports(program: str) -> None:
    sent = set(bundle.modules_of(program))
    for name in sent:
        for imported in _imports(name):
            top = imported.split(".")[0]
            if top == "labpanel":
                assert imported in sent or f"{imported}.__init__" in sent, f"{name}: {imported}"
            else:
                assert top in sys.stdlib_module_names or top in PACKAGES, f"{name}: {imported}"


SENT = sorted({name for program in PROGRAMS for name in bundle.modules_of(program)})


@pytest.mark.parametrize("name", SENT)
def test_python_3_9_can_run_it(name: str) -> None:
    """Debian 11's Python: hosts may be older than the panel's machine. Annotations are not
    evaluated there."""
    tree = ast.parse(bundle.text_of(name), feature_version=(3, 9))
    assert [ast.unparse(node) for node in ast.walk(tree) if _is_newer(node)] == []


def _imports(name: str) -> list[str]:
    """Full names of the modules that a module imports, wherever it does so."""
    found: list[str] = []
    for node in ast.walk(ast.parse(bundle.text_of(name))):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{one.name}" for one in node.names]
            package = ONHOST.parents[1].joinpath(*node.module.split(".")).is_dir()
            found += inner if package and node.module.startswith("labpanel") else [node.module]
    return found


def _is_newer(node: ast.AST) -> bool:
    """Whether Python 3.9 refuses it when it runs, though it can read it."""
    match node:
        case ast.Call(func=ast.Name(id="zip")):
            return any(keyword.arg == "strict" for keyword in node.keywords)
        case ast.Call(func=ast.Name(id="dataclass")):
            return any(keyword.arg in {"slots", "kw_only"} for keyword in node.keywords)
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, ast.BinOp()]):
            return True
        case ast.Assign(value=ast.Subscript() as value):
            return any(isinstance(each, ast.BitOr) for each in ast.walk(value.slice))
        case ast.ImportFrom(module="typing"):
            return any(one.name in {"Self", "TypeAlias", "assert_never"} for one in node.names)
    return False
