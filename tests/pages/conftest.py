"""What the tests of pages share."""

import pytest
from pytest_django import Settings

from tests.pages.lab import Lab, make_lab


@pytest.fixture
def lab(db: None) -> Lab:
    return make_lab()


@pytest.fixture(autouse=True)
def plain_static(settings: Settings) -> None:
    """Names of static files as they are: nothing was collected for these tests."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
