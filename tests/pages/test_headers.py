"""Headers of every answer, and what the log keeps of a request."""

import logging
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.test.utils import override_settings

from labpanel.lib.masked import Masked, masked
from labpanel.lib.seldom import AT_ONCE, Seldom
from tests.pages.lab import Lab
from tests.pages.test_every_address import ADDRESSES

pytestmark = pytest.mark.django_db
PATHS = [address for _, address in ADDRESSES]


@pytest.mark.sqlite  # closing a stream closes the test's own connection
@pytest.mark.parametrize("who", ["client", "signed_in"])
def test_nothing_is_kept_anywhere(
    request: pytest.FixtureRequest, lab: Lab, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    monkeypatch.setattr("labpanel.home.views.settings.public_key", lambda: "ssh-ed25519 AAAA panel")
    client: Client = request.getfixturevalue(who)
    for path in PATHS:
        answer = client.get(path)
        assert "no-store" in answer["Cache-Control"], path
        answer.close()


@pytest.mark.parametrize("path", ["/no-such-page/", "/api/v1/nothing", "/first/x/"])
def test_errors_are_kept_nowhere_either(client: Client, path: str) -> None:
    assert "no-store" in client.get(path)["Cache-Control"]


@pytest.mark.parametrize(
    ("url", "host", "sent"),
    [
        ("https://lab.example", "lab.example", True),
        ("https://lab.example:8443/", "lab.example:8443", True),
        ("https://lab.example", "127.0.0.1:8000", False),
        ("http://lab.example", "lab.example", False),
        ("", "lab.example", False),
    ],
)
def test_behind_tls_a_browser_is_told_to_stay(
    client: Client, url: str, host: str, sent: bool
) -> None:
    with override_settings(PUBLIC_URL=url):
        answer = Client().get("/sign-in/", HTTP_HOST=host)
    assert ("Strict-Transport-Security" in answer) is sent


def test_a_proxy_that_was_not_named_is_told_of(owner: object) -> None:
    """The sign-in form behind TLS, where the panel sees plain HTTP."""
    strict = Client(enforce_csrf_checks=True, HTTP_HOST="192.0.2.7")
    token = strict.get("/sign-in/").content.decode().partition('csrfmiddlewaretoken" value="')[2]
    fields = {"username": "olga", "password": "x", "csrfmiddlewaretoken": token.partition('"')[0]}
    answer = strict.post("/sign-in/", fields, HTTP_ORIGIN="https://192.0.2.7")
    assert answer.status_code == 403
    assert "LABPANEL_TRUSTED_PROXIES" in answer.content.decode()


def test_that_can_be_switched_off(client: Client) -> None:
    with override_settings(PUBLIC_URL="https://lab.example", HSTS=False):
        answer = Client().get("/sign-in/", HTTP_HOST="lab.example")
    assert "Strict-Transport-Security" not in answer


def record_of(name: str, message: str, *arguments: Any) -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "", 0, message, arguments, None)


def logged(name: str, message: str, *arguments: Any) -> str:
    record = record_of(name, message, *arguments)
    assert Masked().filter(record)
    return record.getMessage()


def test_no_token_reaches_the_log() -> None:
    assert (
        logged("django.request", "%s: %s", "Gone", "/first/s3cr3t-token_/") == "Gone: /first/***/"
    )
    assert "s3cr3t" not in logged("x", "GET http://h/first/s3cr3t?next=/ from %s", "y")
    assert masked("labpanel_session=s3cr3t; csrftoken=s3cr3t") == (
        "labpanel_session=***; csrftoken=***"
    )


def test_a_long_address_is_cut() -> None:
    said = logged("django.request", "%s: %s", "Not Found", "/" + "a" * 5000)
    assert len(said) < 250
    assert "(5001 characters)" in said


def test_what_is_not_about_requests_stays_whole() -> None:
    assert logged("hosts", "%d%%: %s", 5, "b" * 5000).endswith("b" * 5000)


def test_strangers_do_not_wash_the_log_away(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("labpanel.lib.seldom.time.monotonic", lambda: clock[0])
    few = Seldom()
    records = [record_of("django.request", "Not Found: /%s", n) for n in range(1000)]
    assert sum(few.filter(each) for each in records) == AT_ONCE
    assert few.filter(record_of("hosts", "alpha is silent"))
    error = logging.LogRecord("django.request", logging.ERROR, "", 0, "broke", (), None)
    assert few.filter(error)
    clock[0] += 7
    late = record_of("django.request", "Not Found: /x")
    assert few.filter(late)
    assert late.getMessage() == "Not Found: /x (and 970 like it were not written down)"


def test_every_handler_masks() -> None:
    handlers: Any = settings.LOGGING["handlers"]
    assert all("masked" in each["filters"] for each in handlers.values())
