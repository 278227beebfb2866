"""Green means checked recently: a host that answers but was not checked is not called well."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Reading
from tests.pages.factory import make_host

pytestmark = pytest.mark.django_db
NOT_CHECKED = "not checked in the last minutes"


@pytest.mark.parametrize("path", ["/", "/hosts/alpha/"])
def test_an_old_check_is_not_green(signed_in: Client, path: str) -> None:
    make_host("alpha")
    assert NOT_CHECKED not in signed_in.get(path).content.decode()
    Reading.objects.update(last_at=timezone.now() - timedelta(minutes=5))
    page = signed_in.get(path).content.decode()
    assert NOT_CHECKED in page
    assert "alpha is well" not in page


def test_a_check_that_broke_is_not_green(signed_in: Client) -> None:
    make_host("alpha")
    Reading.objects.update(value={"error": "alpha did not finish in time"})
    assert NOT_CHECKED in signed_in.get("/").content.decode()
