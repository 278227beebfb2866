"""Sessions: hashed at rest, listed, ended; passwords: changed on the page and the command line."""

import io
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone

from labpanel.accounts.browsers import browser
from labpanel.accounts.models import AccountEvent, FirstLink, Session, SignInTry
from labpanel.accounts.services import first_link
from labpanel.accounts.session_store import IDLE, SessionStore, digest
from labpanel.cli.management.commands.panel import run_verb
from tests.environment import HOME

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
NEW = "staple of the other horse"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def signed_in_from(address: str, agent: str = FIREFOX) -> Client:
    client = Client(REMOTE_ADDR=address, HTTP_USER_AGENT=agent)
    fields = {"username": "olga", "password": PASSWORD}
    assert client.post("/sign-in/", fields).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/settings/sessions/").status_code == 200


def test_the_database_does_not_hold_the_key(owner: User) -> None:
    client = signed_in_from("192.0.2.7")
    key = client.cookies["labpanel_session"].value
    with connection.cursor() as cursor:
        for table in ("accounts_session", "django_session"):
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
            assert key not in str(cursor.fetchall())
    stolen = Client()
    stolen.cookies["labpanel_session"] = Session.objects.get().key_hash
    assert not is_in(stolen)


def test_the_list_says_where_and_with_what(owner: User) -> None:
    here = signed_in_from("192.0.2.7")
    signed_in_from("2001:db8::9", "Mozilla/5.0 (iPhone) Version/18.0 Mobile Safari/604.1")
    signed_in_from("192.0.2.9", "<script>\x1b[2Jalert(1)</script>")
    text = here.get("/settings/sessions/").content.decode()
    for word in ("Firefox on Linux", "this browser", "Safari on iPhone", "2001:db8::9"):
        assert word in text
    assert "<script>\x1b" not in text
    assert "&lt;script&gt;\\x1b[2Jalert(1)" in text


def test_one_is_ended_and_no_other(owner: User) -> None:
    here, there = signed_in_from("192.0.2.7"), signed_in_from("192.0.2.8")
    number = Session.objects.get(address="192.0.2.8").pk
    assert here.post(f"/settings/sessions/{number}/end/").status_code == 302
    assert (is_in(here), is_in(there)) == (True, False)
    again = here.post(f"/settings/sessions/{number}/end/")
    assert again.status_code == 404
    assert "has ended already" in again.content.decode()


def test_nobody_ends_the_sessions_of_another_account(owner: User) -> None:
    there = signed_in_from("192.0.2.8")
    mallory = Client()
    mallory.force_login(User.objects.create_user("mallory"))
    number = Session.objects.get(address="192.0.2.8").pk
    assert mallory.post(f"/settings/sessions/{number}/end/").status_code == 404
    assert mallory.post("/settings/sessions/end-others/").status_code == 302
    assert is_in(there)


def test_all_others_end_at_once(owner: User) -> None:
    here, *others = [signed_in_from(f"192.0.2.{n}") for n in range(4)]
    assert here.post("/settings/sessions/end-others/").status_code == 302
    assert [is_in(each) for each in (here, *others)] == [True, False, False, False]


@pytest.mark.parametrize("change", [{"is_active": False}, None])
def test_an_account_that_is_gone_or_switched_off_is_out(
    owner: User, change: dict[str, bool] | None
) -> None:
    there = signed_in_from("192.0.2.8")
    key = there.cookies["labpanel_session"].value
    User.objects.update(**change) if change else owner.delete()
    assert not is_in(there)
    assert not SessionStore().exists(key)  # what an open event stream asks


def test_a_session_that_ended_meanwhile_is_not_made_anew(owner: User) -> None:
    there = signed_in_from("192.0.2.8")
    store = SessionStore(there.cookies["labpanel_session"].value)
    store["x"] = 1
    Session.objects.all().delete()
    with pytest.raises(UpdateError):
        store.save()
    assert not Session.objects.exists()


@pytest.mark.parametrize("later", [IDLE + timedelta(minutes=1), timedelta(days=31)])
def test_what_is_not_used_ends(owner: User, later: timedelta) -> None:
    there = signed_in_from("192.0.2.8")
    with time_machine.travel(timezone.now() + later, tick=False):
        assert not is_in(there)
        signed_in_from("192.0.2.9")
        assert Session.objects.count() == 1


def test_use_is_written_down_but_not_at_every_request(owner: User) -> None:
    there = signed_in_from("192.0.2.8")
    there.get("/settings/sessions/", REMOTE_ADDR="192.0.2.77")
    assert Session.objects.get().address == "192.0.2.8"
    for minutes in (2, -2):  # a clock that goes back, too
        when = timezone.now() + timedelta(minutes=minutes)
        with time_machine.travel(when, tick=False):
            there.get("/settings/sessions/", REMOTE_ADDR=f"192.0.2.{100 + minutes}")
        session = Session.objects.get()
        assert (session.address, session.seen_at) == (f"192.0.2.{100 + minutes}", when)


def test_an_upgrade_signs_all_out(owner: User, transactional_db: None) -> None:
    executor = MigrationExecutor(connection)
    before = executor.migrate([("accounts", "0001_initial")])
    old = before.apps.get_model("sessions", "Session")
    old.objects.create(session_key="k" * 32, session_data="", expire_date=timezone.now())
    call_command("migrate", "accounts", verbosity=0)
    assert not old.objects.exists()


def change(client: Client, **wrong: str) -> Any:
    right = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    return client.post("/settings/password/", {**right, **wrong})


def test_a_changed_password_ends_all_other_sessions(owner: User) -> None:
    here, there = signed_in_from("192.0.2.7"), signed_in_from("192.0.2.8")
    before = here.cookies["labpanel_session"].value
    assert change(here).status_code == 302
    assert (is_in(here), is_in(there)) == (True, False)
    assert here.cookies["labpanel_session"].value != before
    assert User.objects.get().check_password(NEW)
    assert Session.objects.get().key_hash == digest(here.cookies["labpanel_session"].value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"old_password": "guess"},
        {"new_password2": "another one entirely"},
        {"new_password1": "short", "new_password2": "short"},
        {"new_password1": "password1234", "new_password2": "password1234"},
    ],
)
def test_a_bad_change_changes_nothing(owner: User, wrong: dict[str, str]) -> None:
    here, there = signed_in_from("192.0.2.7"), signed_in_from("192.0.2.8")
    answer = change(here, **wrong)
    assert 'role="alert"' in answer.content.decode()
    assert is_in(there)
    assert User.objects.get().check_password(PASSWORD)


def test_the_old_password_cannot_be_guessed_on_the_page(owner: User) -> None:
    here = signed_in_from("192.0.2.7")
    answers = [change(here, old_password="guess").status_code for _ in range(6)]
    assert answers == [200] * 5 + [429]
    assert change(here).status_code == 429


Typed = Callable[[str], None]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Give a verb its standard input, as a script does."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_the_verb_changes_it_from_standard_input(
    owner: User, typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    there = signed_in_from("192.0.2.8")
    typed(f"{NEW}\nmore\n")
    assert run_verb("password", ["olga"]) == 0
    said = capsys.readouterr()
    assert said.out == "The password of olga is changed; 1 session ended.\n"
    assert NEW not in said.out + said.err
    assert not is_in(there)
    assert User.objects.get().check_password(NEW)


def test_the_verb_asks_twice_on_a_terminal(
    owner: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([NEW, "something else", NEW, NEW])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    assert run_verb("password", ["olga"]) == 1
    assert "differ; nothing was changed" in capsys.readouterr().err
    assert run_verb("password", ["olga"]) == 0


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("olga", "short\n", "This password is too short."),
        ("olga", "\n", "Standard input holds no password of 1 to 4096 characters"),
        ("olga", "", "Standard input holds no password"),
        ("olga", "x" * 5000 + "\n", "Standard input holds no password"),
        ("anna", NEW, "There is no account 'anna'; there is olga."),
        ("olga\x1b[2J", NEW, "There is no account 'olga\\x1b[2J'"),
    ],
)
def test_the_verb_refuses_with_one_sentence(
    owner: User,
    typed: Typed,
    capsys: pytest.CaptureFixture[str],
    name: str,
    given: str,
    sentence: str,
) -> None:
    typed(given)
    assert run_verb("password", [name]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert User.objects.get().check_password(PASSWORD)


def test_sessions_on_the_command_line(owner: User, capsys: pytest.CaptureFixture[str]) -> None:
    there = signed_in_from("192.0.2.8")
    assert run_verb("sessions", []) == 0
    assert "Firefox on Linux" in capsys.readouterr().out
    assert run_verb("sessions", ["--end-all"]) == 2
    assert run_verb("sessions", ["olga", "--end-all"]) == 0
    assert "1 session of olga ended." in capsys.readouterr().out
    assert not is_in(there)
    assert run_verb("sessions", ["anna"]) == 1
    assert run_verb("sessions", ["olga", "--json"]) == 0


class TestALinkForWhoIsLockedOut:
    def path(self, name: str = "olga") -> str:
        return "/" + first_link.link_for(name).split("/", 3)[3]

    def test_it_sets_a_new_password_and_ends_what_was(self, owner: User) -> None:
        there = signed_in_from("192.0.2.8")
        path = self.path()
        assert is_in(there)  # until the link is used
        fresh = Client(REMOTE_ADDR="192.0.2.50")
        assert "A new password for olga" in fresh.get(path).content.decode()
        assert fresh.post(path, {"new_password1": NEW, "new_password2": NEW}).status_code == 302
        assert (is_in(fresh), is_in(there)) == (True, False)
        assert User.objects.get().check_password(NEW)
        assert Client().post(path, {"new_password1": NEW, "new_password2": NEW}).status_code == 410

    def test_the_limit_is_lifted_with_it(self, owner: User) -> None:
        for number in range(12):
            Client().post(
                "/sign-in/",
                {"username": "olga", "password": "x"},
                REMOTE_ADDR=f"192.0.2.{number}",
            )
        Client().post(self.path(), {"new_password1": NEW, "new_password2": NEW})
        assert not SignInTry.objects.exists()

    def test_a_bad_choice_does_not_spend_it(self, owner: User) -> None:
        path = self.path()
        answer = Client().post(path, {"new_password1": "olga", "new_password2": "olga"})
        assert answer.status_code == 200
        assert FirstLink.objects.get().used_at is None
        assert User.objects.get().check_password(PASSWORD)

    def test_a_newer_one_ends_the_older(self, owner: User) -> None:
        old, new = self.path(), self.path()
        assert (Client().get(old).status_code, Client().get(new).status_code) == (410, 200)

    def test_a_changed_password_ends_it(self, owner: User) -> None:
        path = self.path()
        assert change(signed_in_from("192.0.2.7")).status_code == 302
        assert Client().get(path).status_code == 410

    def test_it_is_over_after_a_day(self, owner: User) -> None:
        path = self.path()
        later = timezone.now() + timedelta(hours=25)
        with time_machine.travel(later, tick=False):
            answer = Client().get(path)
        assert answer.status_code == 410
        assert "first-link --for NAME" in answer.content.decode()

    def test_it_is_for_no_account_that_is_switched_off(self, owner: User) -> None:
        path = self.path()
        User.objects.update(is_active=False)
        assert Client().get(path).status_code == 410
        assert run_verb("first-link", ["--for", "olga"]) == 1

    def test_it_makes_no_account(self, owner: User) -> None:
        fields = {"username": "mallory", "password1": NEW, "password2": NEW}
        assert Client().post(self.path(), fields).status_code == 200
        assert User.objects.count() == 1

    def test_the_verb_says_whose_it_is(
        self, owner: User, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_verb("first-link", ["--for", "olga"]) == 0
        said = capsys.readouterr()
        assert "new password for olga" in said.err
        assert Client().get("/" + said.out.strip().split("/", 3)[3]).status_code == 200
        assert run_verb("first-link", ["--for", "anna"]) == 1
        assert "there is olga" in capsys.readouterr().err

    def test_what_happened_is_written_down(
        self, owner: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        log = HOME / "log" / "panel.log"
        log.parent.mkdir(exist_ok=True)
        path = self.path()
        line = " cli   | account olga: a link for a new password was made, from the command line\n"
        assert log.read_text().endswith(line)
        client = Client(REMOTE_ADDR="192.0.2.50")
        client.post(path, {"new_password1": NEW, "new_password2": NEW})
        kinds = list(AccountEvent.objects.order_by("pk").values_list("kind", "address"))
        assert kinds == [("link", ""), ("password", "192.0.2.50"), ("signed in", "192.0.2.50")]
        assert "account olga: the password was changed, from 192.0.2.50" in caplog.text
        text = client.get("/settings/sessions/").content.decode()
        assert "A link for a new password was made" in text
        assert "from the command line" in text


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Macintosh) Chrome/130 Safari/537 Edg/130", "Edge on macOS"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/130 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5", "curl/8.5"),
        ("", "a program without a name"),
        ("x\x1b]0;y\x07" + "z" * 500, None),
    ],
)
def test_a_browser_in_words(agent: str, words: str | None) -> None:
    said = browser(agent)
    assert len(said) <= 80
    assert said.isprintable()
    assert words is None or said == words
