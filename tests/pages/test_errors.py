"""What cannot be shown is one sentence, in the panel's own frame."""

import pytest
from django.test import Client

from labpanel.home.selectors import overview
from tests.pages.lab import Lab


@pytest.mark.parametrize(
    "address",
    ["/nowhere/", "/hosts/gamma/", "/jobs/999/", "/generations/none/",
     "/vms/00000000-0000-4000-8000-000000000000/"],
)  # fmt: skip
def test_not_found(signed_in: Client, lab: Lab, address: str) -> None:
    answer = signed_in.get(address)
    assert answer.status_code == 404
    assert b"Nothing is at this address." in answer.content
    assert b'href="/"' in answer.content


def test_a_form_without_its_token_is_refused(lab: Lab, signed_in: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = signed_in.cookies
    answer = strict.post(f"/jobs/{lab.job.pk}/cancel/")
    assert answer.status_code == 403
    assert b"This form is too old" in answer.content
    lab.job.refresh_from_db()
    assert not lab.job.cancel_asked


def test_a_bug_is_said_without_its_details(
    signed_in: Client, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(overview, "overview", broken)
    signed_in.raise_request_exception = False
    answer = signed_in.get("/")
    assert answer.status_code == 500
    assert b"Something broke inside the panel." in answer.content
    assert b"secret" not in answer.content


def test_a_strange_request_is_said(signed_in: Client, lab: Lab) -> None:
    from django.core.exceptions import BadRequest
    from django.test import RequestFactory

    from labpanel.home.views.errors import bad_request, forbidden

    request = RequestFactory().get("/")
    assert bad_request(request, BadRequest()).status_code == 400
    assert forbidden(request, PermissionError()).status_code == 403
