"""Stores: what is refused when one is added, and what a look at them brings to light."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from backups.models import Generation, GenerationDisk, Policy, Store
from backups.selectors.stores.stores import store_for, store_list
from backups.services.index.identity import panel_id
from backups.services.index.index_generation import index_generation
from backups.services.index.partial import PartialGeneration
from backups.services.index.signing import signed
from backups.services.proof.verify import ask_for_verify
from backups.services.restore.ask_restore import RestoreRequest, ask_for_restore
from backups.services.stores import add_store as adding
from backups.services.stores import look_at_stores as looking
from backups.services.stores.remove_store import remove_store
from hosts.models import VM, FileSystem, Host, VirtualDisk
from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.answers import Looked, looked
from labpanel.jobs import obligations
from labpanel.jobs.models import Job
from labpanel.lib.refusal import Refusal
from labpanel.lib.store_format.reading import checked
from tests.made_manifests import whole

KEY = "20261122T231500Z-abc123"
VM_UUID = "11111111-2222-4333-8444-555555555555"


class Keeping:
    """A Keeper whose store is in memory."""

    def __init__(self) -> None:
        self.store_id = str(uuid.uuid4())
        self.fails: AdapterError | None = None
        self.generations: list[dict[str, Any]] = []
        self.partials: list[dict[str, str]] = []
        self.unread: list[dict[str, str]] = []
        self.dropped: list[str] = []
        self.read_only = False

    def __call__(self, *_: Any) -> "Keeping":
        return self

    def __enter__(self) -> "Keeping":
        if self.fails:
            raise self.fails
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def init(
        self, *, take_over: bool = False, make: bool = False, mounts: Sequence[str] = ()
    ) -> str:
        return self.store_id

    def look(self) -> Looked:
        """What the script says, read as it is read from a machine."""
        answer = {
            "path": "/srv/store",
            "size_bytes": 100,
            "available_bytes": 60,
            "partials": self.partials,
            "read_only": self.read_only,
            "strangers": ["holiday.jpg"],
            "pruned": [],
            "unread": self.unread,
        }
        return looked(answer, self.generations, self.store_id)

    def drop(self, vm_uuid: str, key: str, *, known: bool = False) -> bool:
        self.dropped.append(key)
        return True


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> Keeping:
    made = Keeping()
    for module in (adding, looking):
        monkeypatch.setattr(module, "Keeper", made)
    return made


@pytest.fixture
def beta(db: None) -> Host:
    return Host.objects.create(name="beta", target="root@beta", seen_at=timezone.now())


@pytest.fixture
def store(keeping: Keeping, beta: Host) -> Store:
    return adding.add_store("far", beta, "/srv/store/")


def manifest(store: Store, key: str = KEY, **more: Any) -> dict[str, Any]:
    """One that this panel wrote."""
    made = whole(key, store_id=str(store.store_id), panel_id=panel_id(), **more)
    return signed(checked(made)).as_json()


def entry(store: Store, key: str = KEY, **more: Any) -> dict[str, Any]:
    return {"key": key, "vm_uuid": VM_UUID, "manifest": manifest(store, key), **more}


def test_a_store_is_written_down_with_its_room(store: Store) -> None:
    row = store_list()[0].as_json()
    assert (row["name"], row["host"], row["path"]) == ("far", "beta", "/srv/store")
    assert (row["state"], row["available_bytes"], row["generations"]) == ("good", 60, 0)


@pytest.mark.parametrize(
    ("name", "path", "word"),
    [
        ("far", "/srv/other", "already is a store far"),
        ("../far", "/srv/other", "not a name for a store"),
        ("", "/srv/other", "not a name for a store"),
        ("second", "/srv/store", "already is a store"),
        ("second", "//srv/./store/", "already is a store"),
        ("second", "/srv/../etc", "On beta: /srv/../etc goes up with"),
        ("second", "-x", "not an absolute path"),
        ("second", "", "not an absolute path"),
        ("second", "/srv/\x1b[2J", "control characters"),
    ],
)
def test_what_is_refused_changes_nothing(
    keeping: Keeping, store: Store, beta: Host, name: str, path: str, word: str
) -> None:
    keeping.store_id = str(uuid.uuid4())
    with pytest.raises(Refusal, match=word):
        adding.add_store(name, beta, path)
    assert Store.objects.count() == 1


@pytest.mark.parametrize("code", ["missing", "foreign", "full", "not-writable"])
def test_the_keepers_no_is_passed_on_with_the_place(
    keeping: Keeping, beta: Host, code: str
) -> None:
    keeping.fails = ScriptRefused(code, "/srv/x is no good.")
    with pytest.raises(Refusal, match=r"On beta: /srv/x is no good\. ") as refused:
        adding.add_store("far", beta, "/srv/x")
    assert refused.value.http_status == 409
    assert not Store.objects.exists()


def test_a_store_that_another_panel_took_is_taken_back(keeping: Keeping, store: Store) -> None:
    def take(path: str) -> Store:
        return adding.add_store(store.name, store.host, path, take_over=True)

    assert take(store.path).pk == store.pk
    with pytest.raises(Refusal, match="There already is a store"):
        take("/srv/other")
    keeping.store_id = str(uuid.uuid4())
    with pytest.raises(Refusal, match="holds another store than"):
        take(store.path)


def test_generations_are_taken_in_once_and_followed(keeping: Keeping, store: Store) -> None:
    keeping.generations = [entry(store)]
    for _ in range(2):
        looking.look_at(store)
    generation = Generation.objects.get()
    assert (generation.state, GenerationDisk.objects.count()) == ("complete", 1)
    keeping.generations[0]["damage"] = "vda.qcow2 is gone"
    looking.look_at(store)
    generation.refresh_from_db()
    assert (generation.state, generation.damage) == ("damaged", "vda.qcow2 is gone")
    keeping.generations = []
    looking.look_at(store)
    generation.refresh_from_db()
    assert generation.state == "missing"


def test_a_backup_that_ends_while_the_store_is_looked_at_is_not_gone(
    keeping: Keeping, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look() -> Looked:
        seen = Keeping.look(keeping)
        index_generation(store, signed(checked(manifest(store))))  # as the job does at its end
        return seen

    monkeypatch.setattr(keeping, "look", look)
    looking.look_at(store)
    assert Generation.objects.get().state == "complete"


def test_a_manifest_that_makes_no_sense_harms_nothing_else(keeping: Keeping, store: Store) -> None:
    broken = entry(store, "20261122T231600Z-abc123")
    del broken["manifest"]["vm"]
    keeping.generations = [broken, entry(store), {"key": 5}]
    looking.look_at(store)
    assert [generation.key for generation in Generation.objects.all()] == [KEY]
    store.refresh_from_db()
    assert store.strangers[1].endswith("(manifest.json makes no sense: vm is missing)")


def test_a_store_that_is_mounted_read_only_is_said_and_left_as_it_is(
    keeping: Keeping, store: Store
) -> None:
    keeping.read_only = True
    keeping.partials = [{"key": KEY, "vm_uuid": VM_UUID}]
    looking.look_at(store)
    store.refresh_from_db()
    assert "/srv/store is mounted read-only" in store.error
    assert (store.strangers, keeping.dropped) == (["holiday.jpg"], [])


def test_a_store_that_does_not_answer_keeps_its_last_word(keeping: Keeping, store: Store) -> None:
    keeping.fails = Unreachable("beta does not answer over SSH.")
    looking.look_at(store)
    row = store_list()[0]
    assert (row.state, row.error) == ("failing", "beta does not answer over SSH.")
    assert row.available_bytes == 60


def test_only_half_done_generations_of_ended_jobs_are_swept(keeping: Keeping, store: Store) -> None:
    working, ended = "20261122T231500Z-aaaa", "20261122T231500Z-eeee"
    for state, key in (("running", working), ("failed", ended)):
        job = Job.objects.create(kind="backup", title="t", state=state)
        obligations.write(job, PartialGeneration(store.host_id, store.pk, VM_UUID, key))
    keeping.partials = [{"key": key, "vm_uuid": VM_UUID} for key in (working, ended)]
    looking.look_at(store)
    assert keeping.dropped == [ended]


def test_a_store_on_the_images_own_file_system_is_shown_as_that(
    keeping: Keeping, beta: Host
) -> None:
    now = timezone.now()
    place = FileSystem.objects.create(
        host=beta, mount_point="/srv", source="/dev/sda1", fstype="ext4", seen_at=now
    )
    vm = VM.objects.create(uuid=VM_UUID, name="home", host=beta, first_seen_at=now, seen_at=now)
    VirtualDisk.objects.create(
        vm=vm, target="vda", source="/srv/h", file_system=place, first_seen_at=now, seen_at=now
    )
    adding.add_store("beside", beta, "/srv/store")
    assert store_list()[0].protects_itself == ["beta"]


def test_the_store_away_from_the_host_is_chosen(keeping: Keeping, store: Store, beta: Host) -> None:
    now = timezone.now()
    vm = VM.objects.create(uuid=VM_UUID, name="home", host=beta, first_seen_at=now, seen_at=now)
    keeping.store_id = str(uuid.uuid4())
    local = adding.add_store("panel", None, "/srv/panel")
    assert store_for(vm) == local
    Store.objects.filter(pk=local.pk).update(error="gone")
    assert store_for(vm) == store


@pytest.fixture
def generation(keeping: Keeping, store: Store) -> Generation:
    keeping.generations = [entry(store)]
    looking.look_at(store)
    return Generation.objects.get()


def test_a_restore_beside_the_living_original_is_a_copy(generation: Generation, beta: Host) -> None:
    now = timezone.now()
    VM.objects.create(uuid=VM_UUID, name="home", host=beta, first_seen_at=now, seen_at=now)
    job = ask_for_restore(generation, beta, RestoreRequest())
    assert job.parameters["name"] == "home-restored"
    assert job.parameters["is_copy"] is True
    assert job.parameters["uuid"] != VM_UUID


def test_a_restore_of_a_lost_vm_is_that_vm(generation: Generation, beta: Host) -> None:
    job = ask_for_restore(generation, beta, RestoreRequest())
    assert (job.parameters["name"], job.parameters["uuid"]) == ("home", VM_UUID)


def test_what_cannot_be_restored_or_verified_is_refused(generation: Generation, beta: Host) -> None:
    with pytest.raises(Refusal, match="slash"):
        ask_for_restore(generation, beta, RestoreRequest(name="../x"))
    with pytest.raises(Refusal, match="absolute"):
        ask_for_restore(generation, beta, RestoreRequest(path="srv"))
    with pytest.raises(Refusal, match="level"):
        ask_for_verify(generation, 3)
    generation.state, generation.damage = "damaged", "vda.qcow2 is gone"
    with pytest.raises(Refusal, match="vda of generation .* is damaged"):
        ask_for_restore(generation, beta, RestoreRequest())
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("address", "body", "status", "word"),
    [
        ("stores", {"name": "x"}, 400, "'path' is missing"),
        ("stores", {"name": 5, "path": "/x"}, 400, "must be text"),
        ("stores", {"name": "x", "path": "/x", "colour": 1}, 400, "colour"),
        ("stores", {"name": "far", "path": "/x"}, 409, "already is a store"),
        ("stores", {"name": "x", "path": "/x", "host": "gamma"}, 404, "gamma"),
        ("backups", {"vm": "nobody"}, 404, "nobody"),
        (f"generations/{KEY}/verify", {"level": 7}, 400, "level"),
        ("generations/20300101/verify", {}, 404, "no generation"),
        (f"generations/{KEY}/restore", {"to": "gamma"}, 404, "gamma"),
        (f"generations/{KEY}/restore", {"to": "beta", "start": "yes"}, 400, "true or false"),
        (f"generations/{KEY}/restore", {"to": "beta", "accept_reach": "yes"}, 400, "code of a"),
        (f"generations/{KEY}/restore", {"to": "beta", "accept_reach": 1}, 400, "must be text"),
        (f"generations/{KEY}/restore", {"to": "beta", "drop_reach": "x"}, 400, "true or false"),
    ],
)
def test_the_api_refuses_in_one_sentence(
    generation: Generation,
    signed_in: Client,
    address: str,
    body: dict[str, Any],
    status: int,
    word: str,
) -> None:
    answer = signed_in.post(f"/api/v1/{address}", json.dumps(body), content_type="application/json")
    assert answer.status_code == status
    assert word in answer.json()["error"]
    assert not Job.objects.exists()


def test_the_api_shows_and_opens_jobs(
    generation: Generation, signed_in: Client, owner: User, beta: Host
) -> None:
    assert signed_in.get("/api/v1/generations").json()[0]["generation"] == KEY
    assert signed_in.get(f"/api/v1/generations/{KEY}").json()["vm"] == "home"
    assert signed_in.get("/api/v1/coverage").json() == []
    assert signed_in.get("/api/v1/stores").json()[0]["generations"] == 1
    opened = signed_in.post(
        f"/api/v1/generations/{KEY}/verify", "{}", content_type="application/json"
    )
    assert opened.status_code == 202
    job = Job.objects.get(pk=opened.json()["job"])
    assert (job.kind, job.asked_by, job.parameters["level"]) == ("verify", owner.username, 2)
    again = signed_in.post(
        f"/api/v1/generations/{KEY}/verify", "{}", content_type="application/json"
    )
    assert again.status_code == 409


def test_the_api_is_behind_the_sign_in(generation: Generation, client: Client) -> None:
    for address in ("coverage", "stores", "generations"):
        assert client.get(f"/api/v1/{address}").status_code == 401


def test_how_full_a_store_is_is_noted_once_a_day(store: Store, keeping: Keeping) -> None:
    with time_machine.travel("2031-11-20T10:00:00Z", tick=False):
        looking.look_at(store)
    with time_machine.travel("2031-11-21T10:00:00Z", tick=False):
        looking.look_at(store)
        keeping.generations = [entry(store)]
        looking.look_at(store)
    first, second = store.readings.filter(day__year=2031)
    assert (first.day.day, first.size_bytes, first.available_bytes, first.kept_bytes) == (
        20,
        100,
        60,
        0,
    )
    assert (second.day.day, second.kept_bytes) == (21, sum_of_files(manifest(store)))


def sum_of_files(found: dict[str, Any]) -> int:
    return sum(disk["file_bytes"] for disk in found["disks"])


def test_a_store_is_forgotten_only_when_nothing_needs_it(
    generation: Generation, keeping: Keeping
) -> None:
    store = generation.store
    Generation.objects.update(protected_because="the last one with photos")
    with pytest.raises(Refusal, match="is protected: the last one with photos"):
        remove_store(store)
    Generation.objects.update(protected_because="")
    policy = Policy.objects.create(name="nightly", cron="0 2 * * *", places=[store.name])
    Store.objects.update(name="nas")
    policy.places = ["nas"]
    policy.save()
    store.refresh_from_db()
    with pytest.raises(Refusal, match="The policy nightly names nas"):
        remove_store(store)
    policy.delete()
    assert "forgets nas, 1 copy in it" in remove_store(store)
    assert not Generation.objects.exists()
