"""Little room in a store: said at its host, about the store, and over when there is room."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from backups.models import Generation, GenerationDisk, Store, StoreReading
from backups.services.stores.check_store_room import check_store_room, end_store_room
from hosts.models import Finding, Host
from tests import made_manifests
from tests.pages.factory import make_host

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 2, 20, tzinfo=UTC)
GIB = 1 << 30


@pytest.fixture
def store(db: None) -> Store:
    return Store.objects.create(
        name="far",
        host=make_host("beta"),
        path="/srv/store",
        store_id=uuid4(),
        size_bytes=100 * GIB,
        available_bytes=50 * GIB,
    )


def has(store: Store, gib: float) -> list[Any]:
    store.available_bytes = round(gib * GIB)
    check_store_room(store, NOW)
    return list(Finding.objects.filter(resolved_at=None))


def keep(store: Store, name: str, gib: float, days: float) -> None:
    taken = NOW - timedelta(days=days)
    made = Generation.objects.create(
        key=f"{taken:%Y%m%dT%H%M%SZ}-{uuid4().hex[:4]}",
        store=store,
        vm_uuid=uuid4(),
        vm_name=name,
        source_host="alpha",
        taken_at=taken,
        consistency="quiesced",
        manifest=made_manifests.value(),
    )
    written = round(gib * GIB)
    GenerationDisk.objects.create(
        generation=made,
        target="vda",
        source="/a",
        virtual_bytes=written,
        read_bytes=written,
        written_bytes=written,
        seconds=1,
    )


def test_by_percent(store: Store) -> None:
    assert has(store, 50) == []
    (found,) = has(store, 8)
    assert (found.kind, found.about, found.severity) == ("store-room", "store", "watch")
    assert found.sentence == "beta has little room on the store far: 8 % free"
    assert "/srv/store" in found.advice
    (found,) = has(store, 2)
    assert found.severity == "bad"
    assert has(store, 30) == []


def test_by_what_the_next_copy_takes(store: Store) -> None:
    keep(store, "home", 60, days=3)
    assert has(store, 20) == [], "a first copy says nothing of the next"
    keep(store, "home", 25, days=2)
    (found,) = has(store, 20)
    assert found.sentence.endswith("20 % free, too little for the next backup of home")
    keep(store, "home", 1, days=1)
    assert has(store, 20) == []


def test_by_how_fast_it_fills(store: Store) -> None:
    for day in range(10):
        StoreReading.objects.create(
            store=store,
            day=(NOW - timedelta(days=day)).date(),
            size_bytes=100 * GIB,
            available_bytes=(30 + 3 * day) * GIB,
            kept_bytes=0,
        )
    (found,) = has(store, 30)
    assert (
        found.sentence == "beta has little room on the store far: 30 % free, full in about 10 days"
    )


def test_one_that_is_forgotten_has_no_trouble(store: Store) -> None:
    assert has(store, 2)
    end_store_room(store)
    assert not Finding.objects.filter(resolved_at=None).exists()


def test_on_the_panels_own_machine(store: Store) -> None:
    store.host = None
    assert has(store, 2) == [], "there is no host to say it of"
    Host.objects.create(name="panel", target="local")
    (found,) = has(store, 2)
    assert found.host.name == "panel"


def test_never_looked_at(store: Store) -> None:
    store.size_bytes = None
    assert has(store, 0) == []
