"""The catalog finds what is said, and names what is filled in."""

import json
import shutil

import pytest

from tests.wording.catalog import catalog, messages
from tests.wording.sentences import product, sentences

SOURCE = '''
"""A docstring is not said."""
log.warning("neither is the log")

def refuse(vm, host):
    """Nor this one."""
    raise Refusal(f"{vm.name} is on {host} since {at(host.since)}." + (" It is off." if vm else ""))

WORDS = {"the key": "what is shown", "x": "single"}
QUERY = "SELECT name FROM vm"
'''


def test_sentences_are_told_from_other_strings() -> None:
    assert sentences(SOURCE) == [
        "{vm} is on {host} since {since}.",
        " It is off.",
        "what is shown",
    ]


def test_a_sentence_in_an_f_string_is_found_once() -> None:
    source = "f'{x} was {\"read back\" if ok else \"not read back\"}', 'not read back'"
    assert sentences(source) == ["{x} was {part}", "read back", "not read back"]


def test_the_product_is_read() -> None:
    names = {path.name for path in product()}
    assert {"fit.py", "back_up.py", "keeper.py", "panel.py"} <= names
    assert not any("migrations" in path.parts for path in product())


def test_messages_of_a_catalog() -> None:
    text = '#: a.py\nmsgid ""\n"two "\n"lines"\nmsgstr ""\n\nmsgid "one"\nmsgstr ""\n'
    assert messages(text) == {'""\n"two "\n"lines"\n', '"one"\n'}


@pytest.mark.skipif(
    shutil.which("xgettext") is None, reason="gettext is installed by ./panel check"
)
def test_the_catalog_holds_pages_and_sentences() -> None:
    text = catalog()
    for said in ("Nothing can be saved now.", "{target} of {name} is a {kind} disk"):
        assert f"msgid {json.dumps(said, ensure_ascii=False)[:-1]}" in text
