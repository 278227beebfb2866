"""Hostile words in every text of the panel, and every page and API address asked for."""

import json

from django.contrib.auth.models import User
from django.http import HttpResponse, HttpResponseBase
from django.test import Client

from tests.outside.addresses import addresses
from tests.outside.words import HOSTILE, planted, raw
from tests.pages.lab import Lab


def check(where: str, answer: HttpResponseBase) -> None:
    """No address may break, plant markup, or hand out a raw control character."""
    assert answer.status_code < 500 or where == "/healthz", where  # it has no redis here
    for name, value in answer.items():
        assert raw(value) == [], (where, name)
    if not isinstance(answer, HttpResponse):  # a stream or a file
        return
    kind, text = answer.get("Content-Type", ""), answer.content.decode("utf-8", "replace")
    if kind.startswith("text/html"):
        assert planted(text) == [], where
        assert raw(text, "\n\t") == [], where
        assert "\u0301" * 7 not in text, where
    elif kind.startswith("application/json"):
        json.loads(text)
        assert raw(text, "\n") == [], where


def test_every_address(signed_in: Client, soiled: Lab) -> None:
    seen = []
    for address in addresses(soiled):
        answer = signed_in.get(address)
        check(address, answer)
        seen.append((answer.status_code, b"\\x1b" in getattr(answer, "content", b"")))
    # The words were there: else this would prove nothing.
    assert sum(shown for status, shown in seen if status == 200) > 12


def test_what_a_browser_sends(signed_in: Client, soiled: Lab) -> None:
    """In the path, the query, the form, and the headers that Django reads."""
    for text in HOSTILE.values():
        words = {"range": text, "page": text, "next": text, text: text}
        headers = {"user-agent": text, "referer": text, "x-forwarded-for": text}
        for address in ("/jobs/", "/stores/far/", f"/vms/{soiled.home.uuid}/series.json"):
            check(address, signed_in.get(address, words, headers=headers))
        for before in ("/hosts/", "/api/v1/stores/", "/first/"):
            path = before + text.replace("?", "") + "/"
            check(path, signed_in.get(path, headers=headers))
            check(path, signed_in.post(path, words, headers=headers))


def test_what_a_stranger_sends(client: Client, owner: User) -> None:
    for text in HOSTILE.values():
        form = {"username": text, "password": "x", "next": text}
        check("sign-in", client.post("/sign-in/", form, headers={"user-agent": text}))
        check("wrong password", client.post("/sign-in/", {"username": "olga", "password": text}))
