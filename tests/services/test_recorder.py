"""Symptoms in, findings out: opened once, changed, resolved; rows of an older panel with them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from hosts.models import Finding, Host
from hosts.services.checks import recorder
from labpanel.adapters.redis import bus
from labpanel.symptoms.facts.drives import UnreadDrives
from labpanel.symptoms.facts.file_systems import Cause, FileSystemTrouble
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Look, Symptom, SymptomSubject
from tests.pages import factory

NOW = datetime(2026, 11, 27, 2, 14, tzinfo=UTC)


def full(level: Level = Level.BAD, cause: Cause = Cause.FULL, value: int = 1) -> Symptom:
    return Symptom(
        SymptomSubject(SubjectKind.FILE_SYSTEM, "/srv"),
        level,
        FileSystemTrouble("alpha", "/srv", cause),
        (Evidence("probe", value, "canary", NOW),),
    )


@pytest.fixture
def alpha(db: None) -> Host:
    return factory.make_host("alpha")


def test_a_look_opens_changes_and_resolves(alpha: Host) -> None:
    recorder.note(alpha, Look(found=[full()]), NOW)
    finding = Finding.objects.get()
    assert (finding.sentence, finding.subject_kind) == (
        "alpha has no room left on /srv",
        "file-system",
    )
    assert finding.evidence == [
        {"what": "probe", "value": 1, "source": "canary", "since": NOW.isoformat()}
    ]
    recorder.note(alpha, Look(found=[full(cause=Cause.IO_ERROR)]), NOW + timedelta(minutes=1))
    recorder.note(alpha, Look(), NOW + timedelta(minutes=2))
    finding.refresh_from_db()
    assert (finding.opened_at, finding.looked_at) == (NOW, NOW + timedelta(minutes=1))
    assert "I/O errors" in finding.sentence
    assert finding.resolved_at is None
    look = Look()
    look.is_over(Kind.FILE_SYSTEM, ["/srv"])
    recorder.note(alpha, look, NOW + timedelta(minutes=3))
    finding.refresh_from_db()
    assert finding.resolved_at == NOW + timedelta(minutes=3)


def test_news_are_other_facts_or_another_level_not_other_evidence(
    alpha: Host, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    told: list[str] = []
    monkeypatch.setattr(bus, "publish", told.append)

    def said(symptom: Symptom) -> int:
        told.clear()
        assert callable(django_capture_on_commit_callbacks)
        with django_capture_on_commit_callbacks(execute=True):
            recorder.record(alpha, symptom, NOW)
        return len(told)

    assert said(full()) == 1
    assert said(full(value=2)) == 0
    assert said(full(Level.WATCH)) == 1
    assert said(full(Level.WATCH, Cause.COUNTED)) == 1


def test_one_that_is_about_no_host_is_open_once(alpha: Host) -> None:
    for _ in range(2):
        recorder.record(None, full(), NOW)
    finding = Finding.objects.get()
    assert (finding.host, finding.where) == (None, "")
    recorder.record(alpha, full(), NOW)
    assert Finding.objects.count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        Finding.objects.create(
            kind=Kind.FILE_SYSTEM, subject="/srv", severity="bad", opened_at=NOW, looked_at=NOW
        )
    assert recorder.resolve(None, Kind.FILE_SYSTEM, ["/srv"], NOW) == 1


def test_facts_of_a_newer_panel_are_named_by_their_kind(alpha: Host) -> None:
    recorder.record(alpha, full(), NOW)
    Finding.objects.update(facts={"heat": 90})
    assert Finding.objects.get().sentence == "file-system"


def test_an_upgrade_keeps_what_an_older_panel_said(transactional_db: None) -> None:
    """Until the next look that sees the same: that writes facts in its place."""
    executor = MigrationExecutor(connection)
    before = executor.migrate([("hosts", "0010_disks_that_are_no_plain_image")])
    old_host = before.apps.get_model("hosts", "Host").objects.create(name="alpha", target="local")
    old = before.apps.get_model("hosts", "Finding").objects
    times = {"opened_at": NOW, "looked_at": NOW, "severity": "bad"}
    for kind, subject in (
        ("file-system", "/srv"),
        ("drives-unread", ""),
        ("vm-gone", "u"),
        ("store-error", "far: "),
        ("store-error", "far: key/vda.qcow2"),
    ):
        old.create(
            host=old_host, kind=kind, subject=subject, sentence=f"old {subject}",
            advice="Old advice.", **times,
        )  # fmt: skip
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("hosts"))
    found = {(each.kind, each.subject): each for each in Finding.objects.all()}
    sorts = {key: each.subject_kind for key, each in found.items()}
    assert sorts == {
        ("file-system", "/srv"): "file-system",
        ("drives-unread", ""): "host",
        ("vm-gone", "u"): "vm",
        ("store-error", "far: "): "store",
        ("store-error", "far: key/vda.qcow2"): "generation",
    }
    assert found["vm-gone", "u"].sentence == "old u"
    assert found["vm-gone", "u"].advice == "Old advice."
    alpha = Host.objects.get(name="alpha")
    later = timezone.now()
    unread = Symptom(
        SymptomSubject(SubjectKind.HOST), Level.WATCH, UnreadDrives("alpha", error="No smartctl.")
    )
    recorder.note(alpha, Look(found=[full(), unread]), later)
    seen = Finding.objects.get(kind="file-system")
    assert (seen.pk, seen.opened_at) == (found["file-system", "/srv"].pk, NOW)
    assert (seen.sentence, seen.old_sentence) == ("alpha has no room left on /srv", "")
    assert Finding.objects.get(kind="vm-gone").sentence == "old u"
