"""Who made a copy, and when: what is not vouched for harms nothing and counts for nothing."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from backups.models import Generation, Store
from backups.selectors.copies.doubtful import doubtful
from backups.selectors.copies.parents import newest_of, parents_of
from backups.services.index.identity import manifest_key, panel_id
from backups.services.proof.mend import ask_for_mend
from backups.services.rehearsal.rehearse import ask_for_rehearsal
from backups.services.restore.ask_restore import RestoreRequest, ask_for_restore
from backups.services.stores.add_store import add_store
from backups.services.stores.look_at_stores import look_at
from hosts.models import Host
from labpanel.lib.refusal import Refusal
from labpanel.lib.store_format import signature
from labpanel.lib.store_format.journal import Stage
from labpanel.lib.store_format.names import JOURNAL
from labpanel.lib.store_format.reading import checked
from labpanel.onhost.runtime.wire import Problem
from labpanel.onhost.store import journal
from labpanel.onhost.store.store_marker import write_marker
from tests.made_manifests import seal, sealed, written
from tests.services.shelved import VM_UUID, Made, keep, made_store, random_view
from tests.services.test_verify import FIRST, SECOND, THIRD, made, states, verified

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["made"]
ODD = "20261116T120000Z-dddd"


def looked(made: Made) -> Store:
    look_at(made.store)
    made.store.refresh_from_db()
    return made.store


def read(made: Made, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made.place(key) / "manifest.json").read_text())
    return found


def write(made: Made, key: str, whole: dict[str, Any]) -> None:
    (made.place(key) / "manifest.json").write_text(written(sealed(whole)))


def copied(made: Made, key: str = THIRD, to: str = ODD, **changes: Any) -> None:
    """A folder that another program puts there: another copy's files under a name of its own."""
    shutil.copytree(made.place(key), made.place(to))
    whole = {**read(made, key), "generation": to, "taken_at": "2026-11-16T12:00:00+00:00"}
    whole = {**whole, **changes}
    write(made, to, {name: value for name, value in whole.items() if value is not None})


def unsigned(made: Made, key: str) -> None:
    whole = read(made, key)
    del whole["signature"]
    write(made, key, whole)


def host() -> Host:
    return Host.objects.create(name="alpha", target="root@alpha")


def refused_everywhere(key: str) -> list[str]:
    """What each use of a copy answers."""
    row, words = Generation.objects.get(key=key), []
    here = host()
    asks: list[Callable[[], object]] = [
        lambda: ask_for_restore(row, here, RestoreRequest()),
        lambda: ask_for_restore(row, here, RestoreRequest(instant=True)),
        lambda: ask_for_rehearsal(row),
    ]
    for ask in asks:
        with pytest.raises(Refusal) as refusal:
            ask()
        words.append(refusal.value.sentence)
    return words


def test_a_copy_that_appears_without_a_signature_counts_for_nothing(made: Made) -> None:
    looked(made)
    copied(made, signature=None)
    looked(made)
    row = made.row(ODD)
    assert (row.trust, row.state) == ("strange", "complete")
    (odd,) = doubtful(datetime.now(UTC))
    assert odd.sentence == (
        f"Copy {ODD} of home in shelf appeared in the store without this panel's signature."
    )
    assert all("without this panel's signature" in words for words in refused_everywhere(ODD))
    newest = newest_of(made.store, VM_UUID)
    assert newest is not None
    assert newest.key == THIRD
    parent = parents_of(made.store, VM_UUID)["vda"].generation
    assert parent is not None
    assert parent.key == THIRD


def test_its_owner_has_it_read_and_the_panel_vouches_for_it(made: Made) -> None:
    looked(made)
    copied(made, signature=None)
    looked(made)
    assert "is whole" in verified(ODD, 2)
    assert made.row(ODD).trust == "signed"
    assert "signature" in read(made, ODD)
    looked(made)
    assert made.row(ODD).trust == "signed"
    assert doubtful(datetime.now(UTC)) == []


def test_what_came_with_its_store_is_unsigned_until_it_is_read_once(made: Made) -> None:
    for key in (FIRST, SECOND, THIRD):
        unsigned(made, key)
    Generation.objects.all().delete()
    looked(made)
    assert set(Generation.objects.values_list("trust", flat=True)) == {"unsigned"}
    assert "is whole" in verified(THIRD, 1)
    assert made.row(THIRD).trust == "unsigned"
    assert "is whole" in verified(THIRD, 2)
    assert [made.row(key).trust for key in (FIRST, SECOND, THIRD)] == [
        *("unsigned", "unsigned", "signed")
    ]


def test_one_that_was_read_before_there_were_signatures_is_signed_by_a_look(made: Made) -> None:
    unsigned(made, FIRST)
    now = datetime.now(UTC)
    Generation.objects.filter(key=FIRST).update(trust="unsigned", verified_at=now)
    looked(made)
    row = made.row(FIRST)
    assert row.trust == "signed"
    assert row.manifest.signature is not None


def test_a_signature_that_does_not_fit_is_refused_for_good(made: Made) -> None:
    looked(made)
    copied(made)  # with the signature of the copy that it was made from
    looked(made)
    row = made.row(ODD)
    assert (row.trust, row.state) == ("forged", "damaged")
    assert row.damage == "manifest.json does not carry this panel's signature for what it says"
    assert all("does not carry" in words for words in refused_everywhere(ODD))
    with pytest.raises(Refusal, match="nothing that it could be mended to"):
        ask_for_mend(row)
    assert "does not carry this panel's signature" in verified(ODD, 2)
    looked(made)
    assert made.row(ODD).state == "damaged"
    assert states()[THIRD] == "complete"


@pytest.mark.parametrize("sealing", ["kept signature", "no signature"])
def test_a_known_copy_that_says_something_else_keeps_what_was_known(
    made: Made, sealing: str
) -> None:
    looked(made)
    before = made.row(THIRD).manifest
    whole = read(made, THIRD)
    whole["files"]["domain.xml"] = "0" * 64
    if sealing == "no signature":
        del whole["signature"]
    write(made, THIRD, whole)
    looked(made)
    row = made.row(THIRD)
    assert (row.state, row.manifest) == ("damaged", before)
    assert "manifest.json" in row.damage
    assert states()[SECOND] == "complete"
    assert "manifest.json" in verified(THIRD, 2)


def test_a_lost_signature_is_written_again_when_the_copy_is_read(made: Made) -> None:
    looked(made)
    unsigned(made, THIRD)
    looked(made)
    assert (made.row(THIRD).trust, made.row(THIRD).state) == ("signed", "complete")
    assert "is whole" in verified(THIRD, 2)
    assert "signature" in read(made, THIRD)


@pytest.mark.parametrize("first", [True, False], ids=["first look", "later"])
def test_a_store_hides_no_signed_copy_of_another(made: Made, tmp_path: Path, first: bool) -> None:
    """A rebuilt panel looks at the wrong store first, or the folder was there before the copy."""
    other = made_store(tmp_path / "near", "near")
    shutil.copytree(made.place(THIRD), other.place(THIRD))
    whole = {**read(made, THIRD), "store_id": str(other.store.store_id)}
    del whole["signature"]
    write(other, THIRD, whole)
    Generation.objects.all().delete()
    if not first:
        Store.objects.filter(pk=other.store.pk).update(looked_at=datetime.now(UTC))
        other.store.refresh_from_db()
    near = looked(other)
    row = made.row(THIRD)
    assert (row.store_id, row.trust) == (near.pk, "unsigned" if first else "strange")
    assert looked(made).strangers == []
    row = made.row(THIRD)
    assert (row.store_id, row.trust, row.state) == (made.store.pk, "signed", "complete")
    assert row.disks.count() == len(row.manifest.disks)
    near.refresh_from_db()
    assert any(
        THIRD in each and "signed generation of this name" in each for each in near.strangers
    )
    near = looked(other)
    assert any(THIRD in each and made.store.name in each for each in near.strangers)
    assert made.row(THIRD).store_id == made.store.pk


def test_of_two_unsigned_ones_of_a_name_the_owner_removes_one(made: Made, tmp_path: Path) -> None:
    other = made_store(tmp_path / "near", "near")
    unsigned(made, THIRD)
    shutil.copytree(made.place(THIRD), other.place(THIRD))
    write(other, THIRD, {**read(made, THIRD), "store_id": str(other.store.store_id)})
    Generation.objects.all().delete()
    looked(other)
    (told,) = looked(made).strangers
    assert "in the store near, and neither carries this panel's signature" in told
    assert made.row(THIRD).store_id == other.store.pk
    shutil.rmtree(other.place(THIRD))
    looked(other)
    assert looked(made).strangers == []
    assert made.row(THIRD).store_id == made.store.pk


def test_a_folder_that_names_another_stores_copy_changes_nothing_of_that(
    made: Made, tmp_path: Path
) -> None:
    """The three ways of it: other sizes, a copy that is gone there, and other files."""
    other = made_store(tmp_path / "near", "near")
    key = "20261102T120000Z-ffff"
    keep(other, key, random_view(5))
    look_at(other.store)
    before = other.row(key).manifest
    shutil.copytree(other.place(key), made.place(key))
    whole = {**read(other, key), "store_id": str(made.store.store_id)}
    for forged in (
        {**whole, "disks": [{**whole["disks"][0], "file_bytes": 1}]},
        {**whole, "files": {"domain.xml": "0" * 64}},
        whole,
    ):
        write(made, key, forged)
        store = looked(made)
        assert any(key in each and "in the store near" in each for each in store.strangers)
        row = other.row(key)
        assert (row.state, row.store_id, row.manifest) == ("complete", other.store.pk, before)
    shutil.rmtree(other.place(key))
    look_at(other.store)
    assert other.row(key).state == "missing"
    looked(made)
    assert other.row(key).state == "missing"
    damaged = made.place(key) / "manifest.json"
    damaged.write_text("[" * 100_000)
    looked(made)
    assert (other.row(key).state, other.row(key).faults) == ("missing", [])
    assert {states()[each] for each in (FIRST, SECOND, THIRD)} == {"complete"}


def test_copies_of_a_clock_that_was_ahead_count_for_nothing_until_then(made: Made) -> None:
    looked(made)
    with time_machine.travel("2027-11-20T10:00:00Z"):
        keep(made, "20271120T100000Z-eeee", random_view(4))
        looked(made)
    now = datetime(2026, 11, 27, tzinfo=UTC)
    with time_machine.travel(now):
        looked(made)
        newest = newest_of(made.store, VM_UUID)
        assert newest is not None
        assert newest.key == THIRD
        (odd,) = doubtful(now)
        assert (odd.severity, odd.generation) == ("watch", "20271120T100000Z-eeee")
        assert "is dated 2027-11-20 12:00 UTC, which is in the future" in odd.sentence
    assert doubtful(now + timedelta(days=365)) == []


def test_a_store_that_is_taken_over_is_unsigned(made: Made, monkeypatch: Any) -> None:
    other = bytes(32)
    for key in (FIRST, SECOND, THIRD):
        theirs = checked(sealed({**read(made, key), "panel_id": "another"}))
        write(made, key, signature.signed(theirs, other).as_json())
    write_marker(made.folder, "another", str(made.store.store_id))
    Generation.objects.all().delete()
    looked(made)
    assert "used by another panel" in made.store.error
    add_store(made.store.name, None, str(made.folder), take_over=True)
    assert dict(Generation.objects.values_list("key", "trust")) == dict.fromkeys(
        (FIRST, SECOND, THIRD), "unsigned"
    )
    job = ask_for_restore(made.row(THIRD), host(), RestoreRequest())
    assert job.parameters["generation"] == THIRD


def test_a_forged_journal_makes_the_panel_forget_nothing(made: Made) -> None:
    looked(made)
    value = {"stage": Stage.MERGING, "drop": {FIRST: read(made, FIRST)}, "entries": {}}
    place = made.folder / VM_UUID / JOURNAL
    place.write_text(written({**value, "seal": seal(value)}))
    (made.place(FIRST) / "manifest.json").unlink()
    looked(made)
    assert states()[FIRST] in {"missing", "damaged"}


@pytest.mark.parametrize("come_from", ["../../../etc/passwd", f"{FIRST}/../x", "/etc/passwd", "x"])
def test_a_journal_that_moves_files_from_elsewhere_is_none(made: Made, come_from: str) -> None:
    entry = {"from": come_from, "parent": None, "file_bytes": 1, "sha256": "0" * 64}
    value = {"stage": Stage.REBUILDING, "drop": {}, "entries": {FIRST: {"vda": entry}}}
    place = made.folder / VM_UUID / JOURNAL
    place.write_text(written({**value, "seal": seal(value)}))
    with pytest.raises(Problem, match="is not what was written"):
        journal.begun(made.folder / VM_UUID)
    looked(made)
    assert set(states().values()) == {"complete"}


def test_the_key_is_made_once_and_private(settings: Any, tmp_path: Path) -> None:
    settings.HOME_DIR = tmp_path
    manifest_key.cache_clear()
    try:
        first = manifest_key()
        manifest_key.cache_clear()
        assert manifest_key() == first
        path = tmp_path / "manifest.key"
        assert path.stat().st_mode & 0o777 == 0o600
        assert [each.name for each in tmp_path.iterdir()] == ["manifest.key"]
        path.write_text("half")
        manifest_key.cache_clear()
        with pytest.raises(Refusal, match="manifest.key is damaged"):
            manifest_key()
    finally:
        manifest_key.cache_clear()
    assert len(first) == 32
    assert panel_id()
