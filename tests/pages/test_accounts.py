"""The first link and the password are the only ways in."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from labpanel.accounts.models import FirstLink, SignInTry
from labpanel.accounts.services import first_link, limit
from labpanel.accounts.session_store import SessionStore
from labpanel.cli.management.commands.panel import run_verb
from labpanel.lib.client_address import parse

pytestmark = pytest.mark.django_db

PUBLIC = {"sign-in", "first-sign-in", "healthz"}
PASSWORD = "correct horse battery"
CHOSEN = {"username": "olga", "password1": PASSWORD, "password2": PASSWORD}


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """The real hasher is slow on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def path_of(url: str | None) -> str:
    assert url is not None
    return "/" + url.split("/", 3)[3]


def addresses(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, path with made-up arguments) of every address that the panel answers at."""
    for entry in patterns if patterns is not None else get_resolver().url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from addresses(entry.url_patterns, route)
        elif isinstance(entry, URLPattern):
            filled = re.sub(r"<int:\w+>", "1", route)
            filled = re.sub(r"<uuid:\w+>", "8b1d2f6e-1111-4222-8333-444455556666", filled)
            yield entry.name or "", "/" + re.sub(r"<[^>]+>", "x", filled)


def test_every_address_but_three_is_behind_sign_in(client: Client) -> None:
    seen = list(addresses())
    assert len(seen) > 5
    for name, path in seen:
        if name in PUBLIC:
            continue
        for answer in (client.get(path), client.post(path)):
            led = answer.status_code == 302 and answer["Location"].startswith("/sign-in/")
            assert led or answer.status_code == 401, f"{path} answered {answer.status_code}"


def test_an_api_client_is_told_in_json(client: Client) -> None:
    answer = client.get("/api/v1/jobs")
    assert (answer.status_code, answer.json()) == (401, {"error": "Sign in first."})


def test_a_live_part_loads_the_sign_in_page(client: Client) -> None:
    answer = client.get("/", headers={"X-Labpanel-Look": "1"})
    assert answer.status_code == 401
    assert answer["X-Labpanel-Lead"] == "/sign-in/"


def test_the_first_link_makes_the_admin_and_signs_in(client: Client) -> None:
    path = path_of(first_link.link())
    assert client.get(path).status_code == 200
    answer = client.post(path, CHOSEN)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    user = User.objects.get()
    assert user.is_superuser
    assert user.check_password(PASSWORD)
    assert client.session["_auth_user_id"] == str(user.pk)


def test_the_first_link_works_once(client: Client) -> None:
    path = path_of(first_link.link())
    client.post(path, CHOSEN)
    again = Client().post(path, {**CHOSEN, "username": "mallory"})
    assert again.status_code == 410
    assert User.objects.count() == 1
    assert first_link.link() is None


def test_a_used_link_is_over_even_without_users() -> None:
    path = path_of(first_link.link())
    FirstLink.objects.update(used_at=timezone.now())
    assert Client().get(path).status_code == 410


def test_an_old_link_says_what_to_do(client: Client) -> None:
    path = path_of(first_link.link())
    later = timezone.now() + timedelta(hours=first_link.VALID_HOURS, seconds=1)
    with time_machine.travel(later, tick=False):
        answer = client.get(path)
    assert answer.status_code == 410
    assert "./panel first-link" in answer.content.decode()


def test_an_unknown_link_is_not_found(client: Client) -> None:
    assert client.get("/first/no-such-token/").status_code == 404


def test_a_newer_link_takes_the_place_of_the_older(client: Client) -> None:
    old, new = path_of(first_link.link()), path_of(first_link.link())
    assert client.get(old).status_code == 404
    assert client.get(new).status_code == 200


def test_the_database_does_not_hold_the_token() -> None:
    token = path_of(first_link.link()).split("/")[2]
    assert token not in str(FirstLink.objects.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"password2": "another long password"},
        {"password1": "short", "password2": "short"},
        {"password1": "password1234", "password2": "password1234"},
        {"username": ""},
        {"username": "ol ga <b>"},
    ],
)
def test_a_bad_choice_makes_nobody(client: Client, wrong: dict[str, str]) -> None:
    path = path_of(first_link.link())
    answer = client.post(path, {**CHOSEN, **wrong})
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert not User.objects.exists()
    assert client.post(path, CHOSEN).status_code == 302  # the link is not spent on it


def test_the_link_leads_to_the_public_address() -> None:
    with override_settings(PUBLIC_URL="https://lab.example/"):
        link = first_link.link()
    assert link is not None
    assert link.startswith("https://lab.example/first/")


def test_the_command_prints_the_address_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb("first-link", []) == 0
    printed = capsys.readouterr().out
    assert Client().get(path_of(printed.strip())).status_code == 200


def test_the_command_refuses_once_there_is_an_account(
    owner: User, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_verb("first-link", []) == 1
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)


def test_sign_in_and_out(client: Client, owner: User) -> None:
    answer = client.post("/sign-in/", {"username": "olga", "password": PASSWORD, "next": "/jobs/"})
    assert (answer.status_code, answer["Location"]) == (302, "/jobs/")
    key = client.session.session_key
    assert client.get("/sign-out/")["Location"] == "/settings/"  # the page with its form
    assert client.get("/jobs/").status_code == 200
    assert client.post("/sign-out/").status_code == 302
    assert key
    assert not SessionStore().exists(key)


def test_sign_in_leads_nowhere_else(client: Client, owner: User) -> None:
    fields = {"username": "olga", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/sign-in/", fields)["Location"] == "/"


def try_once(client: Client, name: str = "olga", address: str = "10.77.9.9") -> Any:
    return client.post("/sign-in/", {"username": name, "password": "guess"}, REMOTE_ADDR=address)


def test_guessing_is_slowed_down_even_for_the_right_password(client: Client, owner: User) -> None:
    for _ in range(limit.TRIES_FOR_A_NAME):
        assert try_once(client).status_code == 200
    refused = client.post(
        "/sign-in/", {"username": "OLGA", "password": PASSWORD}, REMOTE_ADDR="10.77.9.9"
    )
    assert refused.status_code == 429
    assert "Too many tries. Try again in 5 minutes" in refused.content.decode()
    assert "_auth_user_id" not in client.session
    assert try_once(client, name="anna").status_code == 200  # another name, another count
    assert try_once(client, address="10.77.9.8").status_code == 200


def test_a_list_of_names_is_slowed_down_too(client: Client) -> None:
    for number in range(limit.TRIES_FROM_AN_ADDRESS):
        limit.begin(parse("10.77.9.9"), f"name{number}")
    assert try_once(client, name="one more").status_code == 429


def test_after_the_window_one_may_try_again(client: Client, owner: User) -> None:
    for _ in range(limit.TRIES_FOR_A_NAME):
        try_once(client)
    with time_machine.travel(timezone.now() + limit.WINDOW + timedelta(seconds=1), tick=False):
        assert try_once(client).status_code == 200
        assert SignInTry.objects.count() == 1  # those that no longer count are gone


def test_the_right_password_forgets_the_wrong_ones(client: Client, owner: User) -> None:
    for _ in range(limit.TRIES_FOR_A_NAME - 1):
        try_once(client)
    fields = {"username": "olga", "password": PASSWORD}
    assert client.post("/sign-in/", fields, REMOTE_ADDR="10.77.9.9").status_code == 302
    assert not SignInTry.objects.exists()


def test_what_was_typed_as_a_name_is_not_kept(client: Client) -> None:
    try_once(client, name="my secret password")
    assert "secret" not in str(SignInTry.objects.values())


def test_the_sign_in_form_refuses_other_sites(owner: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/sign-in/", {"username": "olga", "password": PASSWORD})
    assert answer.status_code == 403


def secret_of_a_new_process() -> str:
    """The signing key as a panel that is started again on the same home reads it."""
    done = subprocess.run(
        [sys.executable, "-c", "from labpanel import env; print(env.secret_key())"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_a_session_survives_a_restart(client: Client, owner: User) -> None:
    client.post("/sign-in/", {"username": "olga", "password": PASSWORD})
    cookie = client.cookies["labpanel_session"].value
    with override_settings(SECRET_KEY=secret_of_a_new_process()):
        returned = Client()
        returned.cookies["labpanel_session"] = cookie
        assert returned.get("/sign-in/").status_code == 302  # signed in: on to the overview


def test_a_wrong_password_stands_in_the_log_without_what_was_typed(
    client: Client, owner: User, caplog: pytest.LogCaptureFixture
) -> None:
    client.post("/sign-in/", {"username": "hunter2", "password": "s3cr3t"})
    assert "a wrong name or password, from 127.0.0.1" in caplog.text
    assert "hunter2" not in caplog.text
    assert "s3cr3t" not in caplog.text
