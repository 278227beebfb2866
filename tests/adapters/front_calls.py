"""What the fronts in labpanel/adapters ask of the programs on hosts, read from their source.

A call is `self._session.call("verb", …)`. Where the verb or some of the arguments are those of the
method around it, they are followed to that method's callers in the same class; `**self._whole()`
and `**words` stand for the keys of the dict that they are. What cannot be followed is an error.
"""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import labpanel.adapters
from labpanel.adapters.ssh.session import ProgramSession

ADAPTERS = Path(labpanel.adapters.__file__).parent
OURS = frozenset(inspect.signature(ProgramSession.call).parameters) - {"self", "verb", "arguments"}
Function = ast.FunctionDef


class Unread(Exception):
    """The source says something that this reader does not follow."""


@dataclass(frozen=True, order=True)
class Call:
    """One request: keywords as the program gets them."""

    front: str
    method: str
    verb: str
    keywords: tuple[str, ...]


@dataclass
class Front:
    """A class whose program is known; `methods` with those of the classes that it extends."""

    name: str
    program: str
    methods: dict[str, Function]


def fronts() -> list[Front]:
    """Every front of a program."""
    classes = {
        node.name: node
        for path in sorted(ADAPTERS.rglob("*.py"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    found = []
    for name, node in classes.items():
        family = [*_family(node, classes)]
        program = next((word for one in family if (word := _program(one))), "")
        if program and family[-1].name == "Front":
            methods: dict[str, Function] = {}
            for one in reversed(family):
                methods |= {each.name: each for each in one.body if isinstance(each, Function)}
            found.append(Front(name, program, methods))
    return found


def calls_of(front: Front) -> Iterator[Call]:
    """Each way in which a front's methods ask its program."""
    for method in front.methods.values():
        for node in ast.walk(method):
            if is_session_call(node):
                yield from _followed(front, method, _asked(front, method, node))


def is_session_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("session.call")


def _family(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    yield node
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            yield from _family(classes[base.id], classes)


def _program(node: ast.ClassDef) -> str:
    for each in node.body:
        if isinstance(each, (ast.Assign, ast.AnnAssign)) and each.value is not None:
            target = each.targets[0] if isinstance(each, ast.Assign) else each.target
            if ast.unparse(target) == "program":
                return str(ast.literal_eval(each.value))
    return ""


@dataclass
class _Asked:
    """Arguments of a call: what is known of them, and what the callers of `method` give."""

    verb: ast.expr | None
    keywords: set[str]
    passes_on: bool = False


def _asked(front: Front, method: Function, node: ast.AST) -> _Asked:
    assert isinstance(node, ast.Call)
    if len(node.args) > 1:
        raise Unread(f"{front.name}.{method.name}: positional arguments")
    found = _Asked(node.args[0] if node.args else None, set())
    for keyword in node.keywords:
        if keyword.arg is not None:
            found.keywords.add(keyword.arg)
        elif _is_rest(method, keyword.value):
            found.passes_on = True
        else:
            found.keywords |= _keys(front, method, keyword.value)
    return found


def _followed(front: Front, method: Function, asked: _Asked, depth: int = 0) -> Iterator[Call]:
    """The call with what the callers of `method` give it, if it takes any of its arguments."""
    verb, passes_on = asked.verb, asked.passes_on
    if isinstance(verb, ast.Constant) and not passes_on:
        given = tuple(sorted(asked.keywords - OURS))
        yield Call(front.name, method.name, str(verb.value), given)
        return
    if depth > 3:
        raise Unread(f"{front.name}.{method.name}: too many steps")
    names = [one.arg for one in (*method.args.args, *method.args.kwonlyargs)]
    for caller, node in _callers(front, method.name):
        step = _asked_of_method(front, caller, node)
        more = step.keywords - set(names) if passes_on else set()
        first = _argument(node, names, verb.id) if isinstance(verb, ast.Name) else verb
        step = _Asked(first, asked.keywords | more, step.passes_on and passes_on)
        yield from _followed(front, caller, step, depth + 1)


def _asked_of_method(front: Front, method: Function, node: ast.Call) -> _Asked:
    bare = ast.Call(node.func, node.args[:1], node.keywords)
    return _asked(front, method, bare)


def _callers(front: Front, name: str) -> Iterator[tuple[Function, ast.Call]]:
    for method in front.methods.values():
        for node in ast.walk(method):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"self.{name}":
                yield method, node


def _argument(node: ast.Call, names: list[str], wanted: str) -> ast.expr:
    for keyword in node.keywords:
        if keyword.arg == wanted:
            return keyword.value
    place = names.index(wanted) - 1  # without self
    if place >= len(node.args):
        raise Unread(f"{ast.unparse(node)}: no {wanted}")
    return node.args[place]


def _is_rest(method: Function, value: ast.expr) -> bool:
    rest = method.args.kwarg
    return isinstance(value, ast.Name) and rest is not None and rest.arg == value.id


def _keys(front: Front, method: Function, value: ast.expr) -> set[str]:
    """The keys of a dict that a name, an attribute or a method of this front stands for."""
    if isinstance(value, ast.Dict):
        keys: set[str] = set()
        for key, held in zip(value.keys, value.values, strict=True):
            if key is None:
                keys |= _keys(front, method, held)
            else:
                keys.add(str(ast.literal_eval(key)))
        return keys
    text = ast.unparse(value)
    if text.startswith("self.") and text.endswith("()"):
        returned = [
            node.value
            for node in ast.walk(front.methods[text[5:-2]])
            if isinstance(node, ast.Return) and node.value is not None
        ]
        return set().union(*(_keys(front, method, one) for one in returned))
    place = front.methods["__init__"] if text.startswith("self.") else method
    for node in ast.walk(place):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(ast.unparse(one) == text for one in targets):
                return _keys(front, method, node.value)
    raise Unread(f"{front.name}.{method.name}: **{text}")
