"""Findings keep facts, and a subject of a sort, instead of sentences.

What stands in old rows stays as it was written: they are shown with it until the next look that
sees the same writes facts in its place, and for ever once they are over.
"""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

SORTS = {
    "file-system": ("file-system", "room"),
    "image": ("unreadable", "image-error"),
    "drive": ("drive",),
    "vm": ("vm-crashed", "vm-paused", "vm-off", "vm-gone", "vm-restarts", "two-hosts"),
    "disk": ("image",),
    "store": ("store-room", "store-error"),
    "copies": ("backup-failed", "rehearsal-failed"),
}
KINDS = [(kind, kind) for kind in (
    "host", "libvirt", "check", "answer", "same-machine", "file-system", "room", "unreadable",
    "drive", "drives-unread", "vm-crashed", "vm-paused", "vm-off", "vm-gone", "vm-restarts",
    "two-hosts", "image", "image-error", "store-error", "store-room", "backup-failed",
    "rehearsal-failed",
)]
SUBJECTS = [(kind, kind) for kind in (
    "host", "drive", "file-system", "image", "vm", "disk", "store", "generation", "copies", "panel",
)]


def name_sorts(apps: Any, _editor: Any) -> None:
    """The rows have `host` by default."""
    findings = apps.get_model("hosts", "Finding").objects
    for sort, kinds in SORTS.items():
        findings.filter(kind__in=kinds).update(subject_kind=sort)
    # "far: KEY/file" names a generation, "far: " the store itself.
    in_generation = findings.filter(kind="store-error", subject__contains="/")
    in_generation.update(subject_kind="generation")


class Migration(migrations.Migration):

    dependencies = [
        ("hosts", "0010_disks_that_are_no_plain_image"),
    ]

    operations = [
        migrations.RenameField("finding", "sentence", "old_sentence"),
        migrations.RenameField("finding", "advice", "old_advice"),
        migrations.AlterField(
            model_name="finding",
            name="old_sentence",
            field=models.TextField(blank=True, default="", help_text="written before facts were kept"),
        ),
        migrations.AlterField(
            model_name="finding",
            name="old_advice",
            field=models.TextField(blank=True, default="", help_text="likewise"),
        ),
        migrations.AddField(
            model_name="finding",
            name="facts",
            field=models.JSONField(blank=True, help_text="labpanel.symptoms.facts, by kind", null=True),
        ),
        migrations.AddField(
            model_name="finding",
            name="subject_kind",
            field=models.CharField(choices=SUBJECTS, default="host", max_length=16),
        ),
        migrations.AlterField(
            model_name="finding",
            name="subject",
            field=models.TextField(blank=True, help_text="tells it from others of its sort on a host"),
        ),
        migrations.AlterField(
            model_name="finding",
            name="kind",
            field=models.CharField(choices=KINDS, max_length=32),
        ),
        migrations.AlterField(
            model_name="finding",
            name="about",
            field=models.CharField(
                choices=[("host", "host"), ("vm", "vm"), ("store", "store")], default="host", max_length=8
            ),
        ),
        migrations.AlterField(
            model_name="finding",
            name="severity",
            field=models.CharField(choices=[("watch", "watch"), ("bad", "bad")], max_length=8),
        ),
        migrations.AlterField(
            model_name="finding",
            name="host",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.CASCADE,
                related_name="findings", to="hosts.host",
            ),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.UniqueConstraint(
                condition=models.Q(("host__isnull", True), ("resolved_at__isnull", True)),
                fields=("kind", "subject"),
                name="one_open_finding_of_no_host",
                violation_error_message="This trouble is already open.",
            ),
        ),
        migrations.RunPython(name_sorts, migrations.RunPython.noop),
    ]
