"""Every page answers, says what is so, and takes any name."""

from html import escape

import pytest
from django.test import Client

from tests.pages.lab import HOSTILE, Lab, add_history, addresses


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    for view in ("overview", "settings"):
        where = f"labpanel.home.views.{view}.public_key"
        monkeypatch.setattr(where, lambda: "ssh-ed25519 AAAA panel")


PAGES = (
    *("overview", "host", "vm", "odd vm", "coverage", "generation", "copies", "stores", "store"),
    *("policies", "new policy", "jobs", "job", "settings"),
)


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("page", PAGES)
def test_page(signed_in: Client, lab: Lab, page: str, *, history: bool) -> None:
    if history:
        add_history(lab)
    answer = signed_in.get(addresses(lab)[page])
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "<script>alert" not in text
    assert "None" not in text.replace("none", "")
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert ' style="' not in text
    assert " onclick" not in text


@pytest.mark.parametrize("page", ["overview", "host", "odd vm", "coverage"])
def test_a_hostile_name_is_shown_unharmed(signed_in: Client, lab: Lab, page: str) -> None:
    assert escape(HOSTILE) in signed_in.get(addresses(lab)[page]).content.decode()


def test_the_overview_says_what_happened_first(signed_in: Client, lab: Lab) -> None:
    text = signed_in.get("/").content.decode()
    assert '<h1 id="state">alpha cannot write to /srv/images</h1>' in text
    assert "everything on vdb (38\N{NO-BREAK SPACE}GiB)" in text
    assert "vdb has no copy" in text
