"""A panel of an earlier version is upgraded: nothing that it knew is lost, and every page reads it.

tests/data/database_before_rooms.sql is the dump of a database that commit 6503c6b made: its test
lab of two hosts, four VMs, 26 generations and 13 open troubles, with jobs as a killed worker and an
absent host left them. Sessions and accounts were taken out.
"""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labpanel.env import REPOSITORY

DUMP = REPOSITORY / "tests/data/database_before_rooms.sql"
# Signs in and asks every page; prints what it answered, and what the tables hold.
WALK = """
import json, django
from django.conf import settings
plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
django.setup()
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from backups.models import Generation, Store
from hosts.models import VM, Finding, Host
from labpanel.jobs.models import Job
client = Client()
client.force_login(User.objects.create_superuser("olga", password="correct horse battery"))
names = ("overview", "coverage", "stores", "policies", "jobs", "settings")
paths = [reverse(name) for name in names]
paths += [reverse("host", args=[host.name]) for host in Host.objects.all()]
paths += [reverse("vm", args=[vm.uuid]) for vm in VM.objects.all()]
paths += [reverse("generation", args=[one.key]) for one in Generation.objects.all()[:3]]
paths += [reverse("store", args=[store.name]) for store in Store.objects.all()]
paths += [reverse("job", args=[job.pk]) for job in Job.objects.all()]
counts = {model.__name__: model.objects.count() for model in (Host, VM, Generation, Finding, Job)}
pages = {path: client.get(path) for path in paths}
said = client.get(reverse("overview")).content.decode()
print(json.dumps({"status": {path: page.status_code for path, page in pages.items()},
                  "counts": counts, "overview": said}))
"""


@pytest.fixture
def upgraded(tmp_path: Path) -> dict[str, str]:
    """The environment of a panel whose database came from before and was migrated."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    environment = {
        **os.environ,
        "LABPANEL_HOME": str(home),
        "LABPANEL_LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "labpanel.settings",
    }
    environment.pop("DATABASE_URL", None)
    with sqlite3.connect(home / "labpanel.sqlite3") as database:
        database.executescript(DUMP.read_text("utf-8"))
    run(environment, "manage.py", "migrate", "-v0")
    return environment


def run(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_page_of_an_upgraded_panel_shows_what_it_knew(upgraded: dict[str, str]) -> None:
    told: dict[str, Any] = json.loads(run(upgraded, "-c", WALK))
    assert {path: code for path, code in told["status"].items() if code != 200} == {}
    assert told["counts"] == {"Host": 2, "VM": 4, "Generation": 26, "Finding": 13, "Job": 10}
    assert "A drive trouble of alpha from before the upgrade." in told["overview"]


def test_the_command_line_reads_an_upgraded_panel(upgraded: dict[str, str]) -> None:
    copies = json.loads(run(upgraded, "manage.py", "panel", "generations", "--json"))
    assert len(copies) == 26
    hosts = json.loads(run(upgraded, "manage.py", "panel", "host", "list", "--json"))
    assert [host["name"] for host in hosts] == ["alpha", "beta"]


def test_no_migration_is_missing(upgraded: dict[str, str]) -> None:
    run(upgraded, "manage.py", "migrate", "--check")
