"""Every form keeps what was typed when it is refused, and says why inside; its address shows it."""

from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from itertools import chain
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponseBase
from django.test import Client
from django.utils import timezone

from backups.models import Store
from hosts.models import FileSystem, Finding, Host, PhysicalDisk
from hosts.services.machines import add_host
from labpanel.adapters.errors import Unreachable
from labpanel.jobs.models import Job
from labpanel.lib.form_again import RefusedForm, shown_again
from labpanel.lib.refusal import Refusal
from tests.outside.addresses import addresses
from tests.outside.methods import undone
from tests.pages.lab import Lab

PAGE = """<div id="live" data-look><details id="d"><summary>x</summary>
<form method="post" action="/a/"><input type="hidden" name="csrfmiddlewaretoken" value="t">
<input type="hidden" name="row" value="{row}"><input name="text" value="old" required>
<input type="password" name="word"><textarea name="long">
old</textarea><select name="one"><option value="1" selected>eins<option value="2">zwei</select>
<input type="checkbox" name="tick" checked><input type="radio" name="r" value="x" checked>
<input type="radio" name="r" value="y"><button name="text">Go</button></form></details></div>"""


class Fields(HTMLParser):
    """What a browser would send of the page's forms, and what it shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.errors: list[str] = []
        self.opened: list[bool] = []
        self._where = ""
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        at = dict(attributes)
        if tag == "details":
            self.opened.append("open" in at)
        if tag == "select":
            self._select = at["name"]
        if tag == "option" and "selected" in at:
            self.values.setdefault(self._select, []).append(at["value"])
        self._where = "error" if at.get("id") == "not-done" else ""
        if tag == "textarea":
            self._where = at["name"]
        kind = at.get("type", "text")
        if tag == "input" and (kind not in {"checkbox", "radio"} or "checked" in at):
            self.values.setdefault(at.get("name", ""), []).append(at.get("value") or "")

    def handle_data(self, data: str) -> None:
        if self._where == "error":
            self.errors.append(data.strip())
        elif self._where:
            self.values[self._where] = [data]
        self._where = ""


def test_each_kind_of_field_comes_back() -> None:
    posted = {
        "row": ["7"],
        "text": ['<b>"new"'],
        "word": ["secret"],
        "long": ["</textarea>two\nlines"],
        "one": ["2"],
        "r": ["y"],
    }
    page = PAGE.format(row=7)
    again = shown_again(page, "/", RefusedForm("/a/", posted, "<No> & why.", ("/jobs/1/", "See")))
    assert again is not None
    found = Fields(again)
    assert found.values["text"] == ['<b>"new"']
    assert found.values["long"] == ["</textarea>two\nlines"]
    assert (found.values["one"], found.values["r"]) == (["2"], ["y"])
    assert "tick" not in found.values
    assert found.values["word"] == [""]
    assert found.errors == ["<No> & why."]
    assert found.opened == [True]
    assert '<a class="touch" href="/jobs/1/">See</a>' in again
    assert "data-look" not in again


@pytest.mark.parametrize(
    ("action", "row", "found"), [("/a/", "8", 1), ("/a/", "9", 0), ("/b/", "7", None)]
)
def test_the_row_that_was_sent_is_the_one(action: str, row: str, found: int | None) -> None:
    pages = PAGE.format(row=9) + PAGE.format(row=8)
    again = shown_again(pages, "/", RefusedForm(action, {"row": [row]}, "No."))
    if found is None:
        assert again is None
        return
    assert again is not None
    parts = again.split('<div id="live"')[1:]
    assert ['role="alert"' in part for part in parts] == [n == found for n in range(2)]


def test_a_form_without_an_address_sends_to_its_page() -> None:
    page = '<form method="post"><input name="a"></form>'
    assert shown_again(page, "/b/", RefusedForm("/a/", {}, "No.")) is None
    assert "No." in (shown_again(page, "/a/", RefusedForm("/a/", {"a": ["1"]}, "No.")) or "")


def test_a_button_may_send_a_form_elsewhere() -> None:
    page = '<button form="f" formaction="/a/" name="store" value="far"><form id="f" method="post">'
    again = shown_again(f"{page}</form>", "/", RefusedForm("/a/", {"store": ["far"]}, "No."))
    assert again is not None
    assert "No." in again


def test_fields_elsewhere_on_the_page_belong_to_it() -> None:
    page = (
        '<input name="a" form="f"><input name="a"><form id="f" method="post" action="/a/"></form>'
    )
    again = shown_again(page, "/", RefusedForm("/a/", {"a": ["1"]}, "No.")) or ""
    assert again.startswith('<input name="a" form="f" value="1"><input name="a"><form')


@pytest.fixture
def drives(lab: Lab) -> None:
    """beta with a drive of its own for copies, and one for its system and images."""
    now = timezone.now()
    for point, device, more in (
        ("/srv/big", "sdb", {}),
        ("/", "sda", {}),
        ("/mnt/ro", "sdc", {"options": "ro,noatime"}),
        ("/boot", "sda", {}),
        ("/mnt/small", "sdd", {"available_bytes": 1 << 20}),
        ("/media/cd", "sr0", {"fstype": "iso9660"}),
        ("/gone", "sde", {"missing_since": now}),
    ):
        facts = {"source": f"/dev/{device}1", "fstype": "ext4", "options": "rw", "seen_at": now}
        facts |= {"size_bytes": 9 << 40, "available_bytes": 3 << 40, **more}
        system, _ = FileSystem.objects.update_or_create(
            host=lab.beta, mount_point=point, defaults=facts
        )
        drive, _ = PhysicalDisk.objects.get_or_create(
            host=lab.beta,
            key=device,
            defaults={"device": f"/dev/{device}", "model": "Ironwolf", "seen_at": now},
        )
        system.drives.set([drive])


def test_the_store_form_proposes_mounts(signed_in: Client, lab: Lab, drives: None) -> None:
    for address in ("/stores/add/", "/settings/"):
        text = signed_in.get(address).content.decode()
        assert 'value="beta/srv/big/labpanel"' in text
        assert "on /dev/sdb (Ironwolf)" in text
        assert 'value="alpha/' not in text or "/near" not in text
        for none in ("/mnt/ro", "/boot/", "/mnt/small", "/media/cd", "/gone"):
            assert f'value="beta{none}' not in text, none


def test_a_refused_store_keeps_its_form(
    signed_in: Client, lab: Lab, drives: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def no(name: str, host: Host | None, path: str, **ticks: bool) -> Store:
        asked.append((name, host, path, ticks))
        raise Refusal("On beta: it is full.", 409)

    monkeypatch.setattr("backups.views.stores.add_store", no)
    form = {"name": "far2", "host": "alpha", "path": "", "make_folder": "1"}
    answer = signed_in.post("/stores/add/", {**form, "place": "beta/srv/big/labpanel"})
    assert answer.status_code == 409
    assert asked == [
        ("far2", lab.beta, "/srv/big/labpanel", {"make_folder": True, "take_over": False})
    ]
    found = Fields(answer.content.decode())
    assert found.errors == ["On beta: it is full."]
    assert found.values["name"] == ["far2"]
    assert found.values["host"] == ["alpha"]
    assert found.values["place"] == ["beta/srv/big/labpanel"]
    assert found.values["make_folder"] == ["1"]


def test_a_host_that_does_not_answer_keeps_its_form(
    signed_in: Client, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(asked: add_host.NewHost) -> None:
        raise Unreachable(f"{asked.name} does not answer.")

    monkeypatch.setattr(add_host, "fetch_key", silent)
    form = {"name": "gamma", "target": "root@10.77.9.9"}
    for address in ("/settings/hosts/look/", "/settings/hosts/add/"):
        answer = signed_in.post(address, {**form, "fingerprint": "SHA256:x"})
        found = Fields(answer.content.decode())
        assert (answer.status_code, found.errors) == (502, ["gamma does not answer."])
        assert (found.values["name"], found.values["target"]) == (["gamma"], ["root@10.77.9.9"])


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("/vms/{vm}/power/", {"verb": "start"}),
        ("/vms/{vm}/back-up/", {"store": "nowhere"}),
        ("/generations/{key}/restore/", {"to": "nowhere", "name": "x/y"}),
        ("/vms/{vm}/leave-out/", {"disk": "vda", "reason": "", "until": "never"}),
        ("/generations/{key}/protect/", {"reason": " "}),
    ],
)
def test_other_forms_say_it_on_their_page(
    signed_in: Client, lab: Lab, address: str, form: dict[str, str]
) -> None:
    where = address.format(vm=lab.home.uuid, key=lab.generation.key)
    answer = signed_in.post(where, form)
    text = answer.content.decode()
    assert 400 <= answer.status_code < 500
    assert 'role="alert"' in text or "Not done." in text, text[:2000]
    assert signed_in.get(where).status_code in {200, 302}


@pytest.mark.parametrize(
    "gone", ["/vms/00000000-0000-4000-8000-000000000000/", "/nowhere/", "/%00"]
)
def test_a_page_that_went_away_is_no_trouble(signed_in: Client, lab: Lab, gone: str) -> None:
    here = f"http://testserver{gone}"
    answer = signed_in.post("/stores/add/", {"path": "x"}, headers={"referer": here})
    assert answer.status_code == 400
    assert "not an absolute path" in answer.content.decode()


class Forms(HTMLParser):
    """Every form of a page that is sent: its address, and what a browser would send of it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._inside = False
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        at = dict(attributes)
        if "formaction" in at and "form" in at:  # a button for a form elsewhere on the page
            self.forms.append((at["formaction"], {at["name"]: at["value"]}))
        if tag == "form":
            self._inside = at.get("method") == "post" and "action" in at
            if self._inside:
                self.forms.append((at.get("action", ""), {}))
        if not self._inside:
            return
        sent, name = self.forms[-1][1], at.get("name", "")
        if tag == "select":
            self._select = name
        if tag == "option" and self._select:
            sent.setdefault(self._select, at.get("value", ""))
        kind = at.get("type", "text")
        if tag == "textarea" or (tag == "input" and kind not in {"checkbox", "radio", "hidden"}):
            sent[name] = TYPED
        elif tag == "input" and (kind == "hidden" or "checked" in at):
            sent[name] = at.get("value", "on")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        if tag == "select":
            self._select = ""


TYPED = "typed/by ${me}"
OWN_WORDS = {
    "/sign-out/",
    "/settings/password/",
    "/clock/",
}  # refuse nothing, or name it themselves


def shown(client: Client, lab: Lab) -> Iterator[tuple[str, str]]:
    """Every page there is now, by its address."""
    for address in addresses(lab):
        page = client.get(address) if not address.startswith("/api/") else None
        if page and page.status_code == 200 and "text/html" in page["Content-Type"]:
            yield address, page.content.decode()


def shown_when_well(client: Client, lab: Lab) -> Iterator[tuple[str, str]]:
    """Then backups are offered, too."""
    Finding.objects.update(resolved_at=timezone.now())
    yield from shown(client, lab)


def test_every_form_of_every_page_keeps_what_was_typed(signed_in: Client, lab: Lab) -> None:
    tried, kept = set(), set()
    for address, page in chain(shown(signed_in, lab), shown_when_well(signed_in, lab)):
        for action, sent in Forms(page).forms:
            where = action or address
            if where in OWN_WORDS or where.startswith(("/first/", "/hosts/alpha/bring-back/")):
                continue
            tried.add(where)
            with undone():
                here = f"http://testserver{address}"
                answer = signed_in.post(where, sent, headers={"referer": here})
            if 400 <= answer.status_code < 500:
                again = answer.content.decode()
                assert 'role="alert"' in again, (address, where)
                if TYPED in sent.values():
                    assert escape(TYPED) in again, (address, where)
                    kept.add(where)
    assert len(tried) > 15
    assert len(kept) > 4, kept


def test_another_site_names_no_page(signed_in: Client, lab: Lab) -> None:
    far = "https://elsewhere.example/settings/"
    answer = signed_in.post("/stores/add/", {"path": "x"}, headers={"referer": far})
    assert answer.status_code == 400
    assert "elsewhere" not in answer.content.decode()


def test_a_failed_restore_shows_the_way_of_the_pages(signed_in: Client, lab: Lab) -> None:
    sentence = "/srv already holds a hundred images of home; choose another --path."
    for kind, more in (
        ("restore", {"generation": lab.generation.key}),
        ("instant", {"generation": lab.generation.key}),
        ("move", {"to": "beta"}),
    ):
        job = Job.objects.create(
            kind=kind,
            title=f"{kind} home",
            subject=f"vm:{lab.home.uuid}",
            state="failed",
            sentence=sentence,
            parameters=more,
        )
        text = signed_in.get(job.get_absolute_url()).content.decode()
        assert "choose another folder for its images" in text
        assert "--path" not in text
        again = f"/vms/{lab.home.uuid}/move/?to=beta"
        if kind != "move":
            again = f"/generations/{lab.generation.key}/#bring-back"
        assert f'href="{again}"' in text


def test_who_is_locked_out_reads_what_to_do(owner: User) -> None:
    text = Client().get("/sign-in/").content.decode()
    assert "./panel password NAME" in text
    assert "./panel first-link --for NAME" in text


def led(client: Client, lab: Lab) -> Iterator[tuple[str, HttpResponseBase]]:
    for address in addresses(lab):
        if not address.startswith("/api/") and not address.endswith(".json"):
            yield address, client.get(address)


def test_no_address_of_a_form_answers_with_an_error(
    signed_in: Client, lab: Lab, owner: User
) -> None:
    """A phone that opens a tab again asks for the address that a form was sent to."""
    assert not [a for a, answer in led(signed_in, lab) if answer.status_code == 405]
