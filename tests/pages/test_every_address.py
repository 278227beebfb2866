"""Every address of the panel: behind sign-in, and rendered by a template that works."""

import re
from collections.abc import Iterator

import pytest
from django.template.loader import get_template
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from labpanel.env import REPOSITORY
from tests.pages.lab import Lab

OPEN = {"sign-in", "first-sign-in", "healthz"}
SAMPLE = {
    "uuid": "00000000-0000-4000-8000-000000000000",
    "slug": "alpha",
    "str": "x",
    "path": "x",
    "int": "7",
}


def walk(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, str]]:
    """(name, an address) of every pattern, with a value for each of its parts."""
    for each in patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from walk(each.url_patterns, route)
        else:
            yield each.name or route, "/" + re.sub(r"<(\w+):\w+>", _value, route)


def _value(part: re.Match[str]) -> str:
    return SAMPLE[part[1]]


ADDRESSES = sorted(walk(get_resolver().url_patterns))


def test_there_are_addresses() -> None:
    assert {"overview", "host", "vm", "coverage", "job", "vm-series"} <= {
        name for name, _ in ADDRESSES
    }


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(("name", "address"), ADDRESSES, ids=[name for name, _ in ADDRESSES])
def test_nothing_is_told_before_sign_in(
    client: Client, lab: Lab, name: str, address: str, method: str
) -> None:
    answer = getattr(client, method)(address)
    text = b"" if answer.streaming else answer.content
    assert b"alpha" not in text
    if name in OPEN:
        return
    signs_in = answer.status_code == 302 and answer["Location"].startswith("/sign-in/")
    assert signs_in or answer.status_code in {401, 405}, answer.status_code


TEMPLATES = sorted(
    str(path.relative_to(REPOSITORY / "templates"))
    for path in (REPOSITORY / "templates").rglob("*.html")
)


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_has_nothing_inline(name: str) -> None:
    """It compiles, and holds nothing that the Content-Security-Policy would refuse."""
    get_template(name)
    text = (REPOSITORY / "templates" / name).read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:", text)
    assert not re.search(r"<script(?![^>]*src=)", text)
    assert "|safe" not in text.replace("help_text|safe", "")


def test_every_form_that_posts_has_its_token() -> None:
    for name in TEMPLATES:
        text = (REPOSITORY / "templates" / name).read_text(encoding="utf-8")
        for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", text, re.S):
            assert "{% csrf_token %}" in form, name
