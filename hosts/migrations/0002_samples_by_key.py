"""Samples keyed by subject and time in one number, and a tier of days."""

from django.db import migrations, models


def tier(name: str) -> migrations.CreateModel:
    return migrations.CreateModel(
        name=name,
        fields=[
            ('key', models.BigAutoField(help_text="subject's id × 2³² + time", primary_key=True, serialize=False)),
            ('packed', models.BinaryField()),
        ],
        options={'abstract': False},
    )


class Migration(migrations.Migration):

    dependencies = [('hosts', '0001_initial')]

    operations = [
        migrations.DeleteModel(name='Sample10s'),
        migrations.DeleteModel(name='Sample5m'),
        migrations.DeleteModel(name='Sample1h'),
        tier('Sample10s'),
        tier('Sample5m'),
        tier('Sample1h'),
        tier('Sample1d'),
        migrations.AddField(
            model_name='subject',
            name='rolled_to',
            field=models.BigIntegerField(default=0, help_text='the upper tiers hold all of what was sampled before this second'),
        ),
        migrations.AlterField(
            model_name='subject',
            name='recent',
            field=models.BinaryField(default=b'', help_text="the headline's means over the last 60 minutes, newest last"),
        ),
    ]
