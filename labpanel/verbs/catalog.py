"""All verbs, found where they are declared: in the package `verbs` of each installed app.

A module is read when its first word is asked for: `./panel jobs` loads nothing of the backups.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from types import ModuleType

from django.apps import apps

from labpanel.verbs.command import PanelCommand, Parser, command_of, parser_of
from labpanel.verbs.verb import AnyVerb


@cache
def places() -> dict[str, list[str]]:
    """The first words, as typed, and the modules or packages of each of each."""
    found: dict[str, list[str]] = {}
    for app in apps.get_app_configs():
        name = f"{app.name}.verbs"
        spec = find_spec(name)
        for module in pkgutil.iter_modules(spec.submodule_search_locations if spec else []):
            found.setdefault(module.name.replace("_", "-"), []).append(f"{name}.{module.name}")
    return {word: found[word] for word in sorted(found)}


def summary(word: str) -> str:
    """One line on the word."""
    for module in _modules(word):
        if text := getattr(module, "SUMMARY", ""):
            return str(text)
    return commands(word)[0].summary


@cache
def commands(word: str) -> list[PanelCommand]:
    """What may be typed after the word: what follows from each verb, and the module's own
    commands for those that they name."""
    found: list[PanelCommand] = []
    for module in _modules(word):
        given: tuple[PanelCommand, ...] = getattr(module, "COMMANDS", ())
        named = [verb for command in given for verb in command.verbs]
        found += [command_of(verb) for verb in _verbs(module) if verb not in named]
        found += given
    return found


@cache
def verbs() -> list[AnyVerb]:
    """All verbs of all apps."""
    return [verb for word in places() for module in _modules(word) for verb in _verbs(module)]


def parser(word: str) -> Parser:
    """What takes the arguments after the word."""
    return parser_of(word, summary(word), commands(word))


def _verbs(module: ModuleType) -> tuple[AnyVerb, ...]:
    return getattr(module, "VERBS", ())


def _modules(word: str) -> Iterator[ModuleType]:
    for place in places()[word]:
        module = importlib.import_module(place)
        yield module
        for inner in pkgutil.iter_modules(getattr(module, "__path__", [])):
            yield importlib.import_module(f"{place}.{inner.name}")
