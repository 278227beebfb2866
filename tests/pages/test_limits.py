"""Guessing passwords: from one address, from many, with forged headers, many at once."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from labpanel.accounts.models import AccountEvent, SignInTry
from labpanel.accounts.services import limit
from labpanel.accounts.services.hashing import PLACES, WAITING, Hashing
from labpanel.lib.client_address import parse
from labpanel.lib.refusal import Refusal

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
HOME = "10.77.9.9"


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def guess(address: str, password: str = "", name: str = "olga", **more: Any) -> int:
    fields = {"username": name, "password": password or "guess"}
    return Client().post("/sign-in/", fields, REMOTE_ADDR=address, **more).status_code


def test_a_forged_header_is_another_address_for_nobody(owner: User) -> None:
    """The guard takes the header away; and where one arrives here, it is not read."""
    tried = [guess("127.0.0.1", HTTP_X_FORWARDED_FOR=f"192.0.2.{n}") for n in range(20)]
    assert tried == [200] * limit.TRIES_FOR_A_NAME + [429] * (20 - limit.TRIES_FOR_A_NAME)


def test_a_walk_through_one_64_is_one_address(owner: User) -> None:
    tried = [guess(f"2001:db8:1:2::{n:x}") for n in range(20)]
    assert tried.count(200) == limit.TRIES_FOR_A_NAME
    assert guess("::ffff:10.77.9.9") == 200
    assert SignInTry.objects.filter(address="10.77.9.9").count() == 1


def test_many_addresses_share_one_slow_limit_for_a_name(owner: User) -> None:
    tried = [guess(f"2001:db8:{n:x}::1") for n in range(40)]
    assert tried.count(200) == limit.TRIES_OF_STRANGERS_FOR_A_NAME
    assert guess("2001:db8:ffff::1", name="OLGA") == 429
    assert guess("2001:db8:ffff::1", name="anna") == 200


def test_where_one_signed_in_before_one_still_can(owner: User) -> None:
    assert guess(HOME, PASSWORD) == 302
    assert [guess(f"192.0.2.{n}") for n in range(40)].count(200) < 40
    assert guess("192.0.2.99", PASSWORD) == 429
    assert guess(HOME) == 200
    assert guess(HOME, PASSWORD) == 302


def test_guesses_from_home_do_not_use_up_the_strangers_tries(owner: User) -> None:
    assert guess(HOME, PASSWORD) == 302
    for _ in range(limit.TRIES_FOR_A_NAME):
        guess(HOME)
    assert guess("192.0.2.1", PASSWORD) == 302


def test_all_strangers_together_have_an_end(owner: User) -> None:
    now = timezone.now()
    SignInTry.objects.bulk_create(
        SignInTry(address=f"a{n}", name_hash=f"{n}", at=now)
        for n in range(limit.TRIES_OF_STRANGERS)
    )
    assert guess("192.0.2.1") == 429


def test_a_clock_that_went_back_locks_nobody_out(owner: User) -> None:
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        for _ in range(limit.TRIES_FOR_A_NAME + 1):
            last = guess(HOME)
    assert last == 429
    assert guess(HOME, PASSWORD) == 302
    assert not SignInTry.objects.exists()


def test_the_wait_is_never_longer_than_the_window(owner: User) -> None:
    ahead = timezone.now() + timedelta(seconds=8)
    for _ in range(limit.TRIES_FOR_A_NAME):
        limit.begin(parse(HOME), "olga")
    SignInTry.objects.update(at=ahead)
    with pytest.raises(limit.TooMany) as refused:
        limit.begin(parse(HOME), "olga")
    assert refused.value.until <= timezone.now() + limit.WINDOW


def test_a_name_that_is_none_is_slowed_down_alike(owner: User) -> None:
    for name in ("olga", "nobody"):
        answers = [
            Client().post("/sign-in/", {"username": name, "password": "x"}) for _ in "123456"
        ]
        assert [each.status_code for each in answers] == [200] * 5 + [429]
        assert "do not belong together" in answers[0].content.decode()


class TestHashing:
    """Real threads; nothing waits for the clock."""

    def held(self, hashing: Hashing, number: int, *, stranger: bool) -> Callable[[], list[str]]:
        """`number` threads that each hold a place until the returned function is called."""
        go = threading.Event()
        begun = threading.Semaphore(0)
        said: list[str] = []

        def work() -> None:
            try:
                with hashing.place(stranger=stranger):
                    said.append("in")
                    begun.release()
                    go.wait(20)
            except Refusal:
                said.append("busy")
                begun.release()

        threads = [threading.Thread(target=work) for _ in range(number)]
        for thread in threads:
            thread.start()
        places = 1 if stranger else PLACES
        for _ in range(min(number, places)):
            assert begun.acquire(timeout=20)

        def end() -> list[str]:
            go.set()
            for thread in threads:
                thread.join(20)
            return said

        return end

    def test_two_at_once_and_no_more(self) -> None:
        hashing = Hashing()
        end = self.held(hashing, PLACES + 3, stranger=False)
        assert sum(hashing._at_work) == PLACES
        assert end() == ["in"] * (PLACES + 3)

    def test_strangers_leave_a_place(self) -> None:
        hashing = Hashing()
        end = self.held(hashing, 3, stranger=True)
        with hashing.place():
            assert hashing._at_work == [1, 1]
        assert end() == ["in"] * 3

    def test_a_long_queue_is_refused_at_once(self) -> None:
        hashing = Hashing()
        hashing._waiting = [WAITING, 0]
        with pytest.raises(Refusal, match="looking at other") as refused, hashing.place():
            pass
        assert refused.value.http_status == 503

    def test_one_that_waits_too_long_leaves_nothing_behind(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("labpanel.accounts.services.hashing.PATIENCE_SECONDS", 0.05)
        hashing = Hashing()
        end = self.held(hashing, PLACES, stranger=False)
        with pytest.raises(Refusal), hashing.place():
            pass
        assert hashing._waiting == [0, 0]
        end()
        assert hashing._at_work == [0, 0]


def test_when_it_is_too_busy_the_page_says_so_and_nothing_counts(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Hashing()
    full._waiting = [WAITING, 0]
    monkeypatch.setattr("labpanel.accounts.forms.hashing", full)
    fields = {"username": "olga", "password": PASSWORD}
    answer = Client().post("/sign-in/", fields)
    assert answer.status_code == 503
    assert "Try again in a few seconds" in answer.content.decode()
    assert not SignInTry.objects.exists()
    assert not AccountEvent.objects.exists()
