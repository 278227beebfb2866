from typing import Any

from django.db import migrations, models

KNOWN = ("/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock")


def reset_others(apps: Any, schema_editor: Any) -> None:
    # The next look writes the one that the host has.
    hosts = apps.get_model("hosts", "Host").objects.exclude(libvirt_socket__in=KNOWN)
    hosts.update(libvirt_socket=KNOWN[0])


class Migration(migrations.Migration):

    dependencies = [
        ("hosts", "0004_drives_of_smart"),
    ]

    operations = [
        migrations.AlterField(
            model_name="host",
            name="libvirt_socket",
            field=models.CharField(
                choices=[(KNOWN[0], "LIBVIRTD"), (KNOWN[1], "VIRTQEMUD")],
                default=KNOWN[0],
                max_length=255,
            ),
        ),
        migrations.RunPython(reset_others, migrations.RunPython.noop),
    ]
