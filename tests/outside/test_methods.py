"""Every address with every method: without a session, without the token, with hostile bodies."""

import json
import re
from collections.abc import Iterator

from django.contrib.auth.models import User
from django.http import HttpResponseBase
from django.test import Client
from django.urls import Resolver404, resolve

from tests.outside.addresses import METHODS, addresses, fitting, nowhere, routes
from tests.outside.bodies import FORM_BODIES, JSON, JSON_BODIES, variants
from tests.outside.methods import undone
from tests.outside.words import planted, raw
from tests.pages.lab import Lab

OPEN = {"sign-in", "first-sign-in", "healthz"}
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
# A value that passes a field's type, so that the look goes on behind it.
FITTING = {
    "text": "x", "a whole number": 1, "true or false": True, "a list": ["x"], "an object": {},
}  # fmt: skip


def name_of(address: str) -> str:
    try:
        return resolve(address).view_name
    except Resolver404:
        return ""


def test_without_a_session(lab: Lab) -> None:
    stranger = Client(enforce_csrf_checks=True)
    for address in addresses(lab):
        for method in METHODS:
            answer = stranger.generic(method, address)
            where = (method, address, answer.status_code)
            if name_of(address) in OPEN:
                assert answer.status_code in {200, 403, 405, 410, 503, 404}, where
                continue
            to_sign_in = answer.status_code == 302 and answer["Location"].startswith("/sign-in/")
            assert to_sign_in or answer.status_code in {401, 403, 404, 405}, where
            assert b"alpha" not in getattr(answer, "content", b""), where


def test_with_a_session_but_no_token(lab: Lab, owner: User) -> None:
    forged = Client(enforce_csrf_checks=True, headers={"origin": "https://elsewhere.example"})
    forged.force_login(owner)
    for address in map(nowhere, routes()):  # the token is asked for before any thing is
        for method in CHANGING:
            for kind in (JSON, "text/plain"):
                answer = forged.generic(method, address, b'{"vm": "home"}', kind)
                assert answer.status_code == 403, (method, address)
        for method in ("GET", "HEAD", "OPTIONS", "TRACE"):
            answer = forged.generic(method, address)
            assert answer.status_code < 500 or address == "/healthz", (method, address)


def refused_in_one_sentence(where: object, answer: HttpResponseBase) -> None:
    assert answer.status_code < 500 or answer.status_code in {502, 504}, where
    kind, text = answer.get("Content-Type", ""), getattr(answer, "content", b"").decode()
    assert raw(text, "\n\t") == [], where
    if kind.startswith("text/html"):
        assert planted(text) == [], where
    if kind == JSON and answer.status_code >= 400:
        said = json.loads(text)
        assert set(said) == {"error"}, where
        assert raw(said["error"]) == [], where
        assert re.fullmatch(r"\S.{5,2000}", said["error"]), (where, said)


def test_what_takes_only_forms_leads_to_their_page(signed_in: Client, lab: Lab) -> None:
    """A tab that is opened again asks for the address of the form that was sent last."""
    backs = set()
    for address in addresses(lab):
        answer = signed_in.get(address)
        if answer.status_code == 405:
            assert address.startswith("/api/"), address
            assert "POST" in answer["Allow"] or "DELETE" in answer["Allow"], address
            refused_in_one_sentence(address, answer)
        look = signed_in.get(address, headers={"x-labpanel-look": "1"})
        if answer.status_code != 302 or look.status_code != 405:
            continue
        back = answer["Location"]
        assert signed_in.get(back).status_code == (
            404 if "000" in back or "nothing" in back else 200
        ), (address, back)
        backs.add(back)
        assert signed_in.head(address).status_code == 302
    assert {"/", f"/generations/{lab.generation.key}/", f"/vms/{lab.home.uuid}/"} <= backs


def test_hostile_json(signed_in: Client, lab: Lab) -> None:
    for method, address in taken(signed_in, lab):
        for body in JSON_BODIES if address.startswith("/api/") else ():
            with undone():
                answer = signed_in.generic(method, address, body.content, body.type)
            refused_in_one_sentence((method, address, body.name), answer)


def test_hostile_forms(signed_in: Client, lab: Lab) -> None:
    for method, address in taken(signed_in, lab):
        for body in () if address.startswith("/api/") else FORM_BODIES:
            with undone():
                answer = signed_in.generic(method, address, body.content, body.type)
            refused_in_one_sentence((method, address, body.name), answer)


def test_hostile_fields(signed_in: Client, lab: Lab) -> None:
    """Each field of the API, once its type is known, with values of any other kind."""
    tried = 0
    for method, address in taken(signed_in, lab):
        for fields in variants(learnt(signed_in, method, address)):
            with undone():
                answer = signed_in.generic(method, address, json.dumps(fields), JSON)
            refused_in_one_sentence((method, address, fields), answer)
            tried += 1
    assert tried > 500


def taken(client: Client, lab: Lab) -> Iterator[tuple[str, str]]:
    """The methods that each address takes, for something that there is in the lab."""
    for route in sorted(set(routes())):
        for method in CHANGING:
            with undone():
                answer = client.generic(method, fitting(lab, route), b"{}", JSON)
            if answer.status_code != 405:
                yield method, fitting(lab, route)


def learnt(client: Client, method: str, address: str) -> dict[str, object]:
    """The fields that an address wants, as its own refusals tell."""
    if not address.startswith("/api/"):
        return {}
    fields: dict[str, object] = {}
    asked: dict[str, object] = {"this is none": 1}
    for _ in range(12):
        with undone():
            answer = client.generic(method, address, json.dumps({**fields, **asked}), JSON)
        said = answer.json().get("error", "") if answer.status_code == 400 else ""
        if known := re.search(r"known are (.*)\.$", said):
            fields, asked = dict.fromkeys(known[1].split(", "), "x"), {}
        elif wrong := re.fullmatch(r"The field '(\w+)' must be (.*)\.", said):
            fields[wrong[1]] = FITTING.get(wrong[2], "x")
        else:
            break
    return fields
