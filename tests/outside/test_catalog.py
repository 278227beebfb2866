"""Every verb is found on the command line, in the API and in its schema, and nothing else is."""

import argparse

import pytest
from django.urls import URLPattern, get_resolver

from labpanel.lib.actor import PANEL, TERMINAL, Actor
from labpanel.lib.refusal import Refusal
from labpanel.verbs import catalog
from labpanel.verbs.command import PanelCommand, read
from labpanel.verbs.fields import fields
from labpanel.verbs.openapi import document
from labpanel.verbs.urls import urlpatterns
from labpanel.verbs.verb import AnyVerb
from tests.outside.addresses import routes

# They read a passphrase or a file of the panel's machine, or open the door to an account: the API,
# which an account is asked for, has no use for them.
OF_THE_TERMINAL = {"export", "first-link", "import", "passphrase", "password", "sessions"}
# The document itself, and what says that there is nothing.
OF_THE_API = {"openapi.json", "<path:path>"}


def commands() -> list[PanelCommand]:
    return [command for word in catalog.places() for command in catalog.commands(word)]


def test_every_verb_is_on_the_command_line() -> None:
    names = {verb.name for command in commands() for verb in command.verbs}
    assert names == {verb.name for verb in catalog.verbs()}
    assert len(names) == len(catalog.verbs())


def test_what_is_of_the_terminal_alone_is_named() -> None:
    assert {" ".join(one.words) for one in commands() if not one.verbs} == OF_THE_TERMINAL


@pytest.mark.parametrize("word", list(catalog.places()))
def test_every_command_takes_json_and_says_what_it_is(word: str) -> None:
    assert catalog.summary(word)
    for command in catalog.commands(word):
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        flags = {flag for action in parser._actions for flag in action.option_strings}
        assert command.summary
        assert "--json" in flags or not command.verbs, command.words


def test_every_verb_is_in_the_api_and_no_address_is_without_one() -> None:
    declared = {path for verb in catalog.verbs() if verb.route for path in paths(verb)}
    assert all(verb.route for verb in catalog.verbs())
    served = {str(each.pattern) for each in urlpatterns}
    assert served - OF_THE_API == declared
    assert {f"api/v1/{path}" for path in served} == {
        each for each in routes(get_resolver().url_patterns) if each.startswith("api/")
    }
    assert all(isinstance(each, URLPattern) for each in urlpatterns)


def paths(verb: AnyVerb) -> set[str]:
    assert verb.route is not None
    return {verb.route.path, verb.route.formerly} - {""}


def test_every_verb_is_in_the_schema() -> None:
    described = document(catalog.verbs())["paths"]
    operations = [one for methods in described.values() for one in methods.values()]
    names = [verb.name.replace(" ", "_").replace("-", "_") for verb in catalog.verbs()]
    assert sorted(one["operationId"] for one in operations) == sorted(names)
    for verb in catalog.verbs():
        assert verb.route is not None
        assert fields(verb.takes) or verb.takes.__name__ == "Nothing"


def test_who_may() -> None:
    for verb in catalog.verbs():
        with pytest.raises(Refusal) as refused:
            verb.perform(PANEL, None)
        assert refused.value.http_status == 403
        with pytest.raises(Refusal):
            verb.perform(Actor.policy("nightly"), None)
    jobs = next(verb for verb in catalog.verbs() if verb.name == "host key")
    assert jobs.who == "owner"


def test_what_is_not_typed_takes_its_default() -> None:
    verb = next(verb for verb in catalog.verbs() if verb.name == "jobs")
    options = catalog.parser("jobs").parse_args([])
    assert (read(verb, options).limit, read(verb, options).active) == (30, False)
    assert str(TERMINAL) == "the command line"
