"""What an older panel's jobs had left open in their state_data is owed after the migration."""

import uuid
from dataclasses import asdict
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.utils import timezone

from backups.models import Store
from backups.services.backup.owed import AsideFolder, FrozenGuest, NewCheckpoint, OpenBackup
from backups.services.index.channels import Channel
from backups.services.index.forget_pruned import Dropping
from backups.services.index.note_made import MadeBeside
from backups.services.index.partial import PartialGeneration
from backups.services.rehearsal.settle import OpenRehearsal
from backups.services.restore.settle import OpenReplacement, OpenRestore
from hosts.models import Host
from labpanel.adapters.images.replacer import Exchange
from labpanel.jobs.models import Job
from labpanel.jobs.notes import noted
from labpanel.jobs.obligations import read
from labpanel.jobs.states import State
from labpanel.moves.services.handover import Handover
from labpanel.moves.services.owed import OpenMove

UUID, KEY = "11111111-2222-4333-8444-555555555555", "20261122T231500Z-abc123"


@pytest.fixture
def alpha(db: None) -> Host:
    host: Host = Host.objects.create(name="alpha", target="root@alpha")
    return host


@pytest.fixture
def store(alpha: Host) -> Store:
    store: Store = Store.objects.create(
        name="far", host=alpha, path="/srv/store", store_id=uuid.uuid4()
    )
    return store


def migrated(kind: str, left: dict[str, Any], state: State = State.FAILED) -> Job:
    job = Job.objects.create(
        kind=kind,
        title="x",
        state=state,
        ended_at=timezone.now(),
        state_data=left,
        parameters={"name": "home", "uuid": UUID},
    )
    import_module("backups.migrations.0008_obligations").forwards(apps, None)
    job.refresh_from_db()
    return job


def owed(job: Job) -> set[Any]:
    return {read(row) for row in job.obligations.all()}


def backup(alpha: Host, store: Store, **more: Any) -> dict[str, Any]:
    return {"key": KEY, "store": store.pk, "host": alpha.pk, "vm_uuid": UUID, **more}


def test_an_open_backup(alpha: Host, store: Store) -> None:
    files = {"socket": "/run/x", "scratch": ["/srv/.a.scratch"], "aside": "/data/.lp-aside"}
    left = backup(alpha, store, **files, froze=True, ran=True, checkpoint="c1")
    job = migrated("backup", left, State.RUNNING)
    assert owed(job) == {
        Channel(None),
        Channel(alpha.pk),
        FrozenGuest(alpha.pk, UUID),
        OpenBackup(alpha.pk, UUID, "/run/x", ("/run/x", "/srv/.a.scratch"), ran=True),
        AsideFolder(alpha.pk, "/data/.lp-aside"),
        PartialGeneration(alpha.pk, store.pk, UUID, KEY),
        NewCheckpoint(alpha.pk, UUID, "c1", KEY),
    }
    assert job.state_data == {}


def test_a_backup_that_closed_all_but_its_guests_thaw(alpha: Host, store: Store) -> None:
    left = backup(alpha, store, staging=["/srv/.a.staging"], froze=False, owes_thaw=True)
    job = migrated("backup", {**left, "closed": True}, State.DONE)
    assert owed(job) == {FrozenGuest(alpha.pk, UUID)}


def test_a_backup_that_is_over_owes_nothing(alpha: Host, store: Store) -> None:
    left = backup(alpha, store, socket="/run/x", froze=False, owes_thaw=False, closed=True)
    assert owed(migrated("backup", left, State.DONE)) == set()


def test_rehearsals_and_restores(alpha: Host) -> None:
    host = {"host": alpha.pk, "uuid": UUID}
    folders = {"scratch_folder": "/srv/.s", "sockets_folder": "/run/s"}
    made = migrated("rehearse", {**host, **folders})
    assert owed(made) == {OpenRehearsal(alpha.pk, UUID, "/srv/.s", "/run/s")}
    assert owed(migrated("rehearse", {**host, **folders, "closed": True})) == set()
    images = {"partials": ["/srv/.p"], "paths": ["/srv/home.qcow2"], "beside": ["/srv/vars"]}
    job = migrated("restore", {**host, **images})
    assert owed(job) == {OpenRestore(alpha.pk, UUID, "home", ("/srv/.p",), ("/srv/home.qcow2",))}
    assert noted(job, MadeBeside) == MadeBeside(("/srv/vars",))
    one = Exchange("vda", "qcow2", "/old", "/new", "/aside")
    left = {**host, "partials": ["/new"], "exchanges": [asdict(one)], "ready": True}
    assert owed(migrated("restore", left)) == {
        OpenReplacement(alpha.pk, UUID, "home", (one,), ready=True)
    }


@pytest.mark.parametrize(("is_open", "count"), [(True, 1), (False, 0)])
def test_a_move_whose_end_is_not_known(alpha: Host, is_open: bool, count: int) -> None:
    hand = Handover(UUID, "home", "alpha", "beta", "t", "live", ["/a"], ["/b"], ".x", True, False)
    job = migrated("move", {"handover": asdict(hand), "open": is_open})
    assert [read(row) for row in job.obligations.all()] == [OpenMove(alpha.pk, hand)] * count


def test_what_a_prune_was_to_drop_stays_known(store: Store) -> None:
    job = migrated("prune", {"store": store.pk, "drop": [KEY]}, State.DONE)
    assert noted(job, Dropping) == Dropping(store.pk, (KEY,))
