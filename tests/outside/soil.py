"""A panel whose every text came from hostile hosts: what a parser let through, it lets through."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db import models

from hosts.models import Finding
from labpanel.symptoms.stored import parse_facts
from tests.outside.words import ALL

APPS = ("hosts", "backups", "jobs")
# Words of the panel's own, by which it finds its way: nothing from outside is stored there.
OWN = {
    "Host": {"name", "target", "libvirt_socket", "host_key"},
    "Store": {"name"},
    "Subject": {"kind", "name"},
    "Reading": {"kind", "subject"},
    "Finding": {"kind"},
    "Job": {"kind", "subject", "lock_key", "worker", "parameters", "state_data"},
    "Obligation": {"kind", "data"},
    "Policy": {"cron", "timezone", "places"},
    "Generation": {"key"},
    "GenerationDisk": {"mode", "parent"},
    "VirtualDisk": {"device", "kind", "format"},
}


def soil() -> None:
    """Hostile words into every text of every row of APPS."""
    for model in apps.get_models():
        if model._meta.app_label in APPS:
            for row in model._default_manager.all():
                changes = dict(_changes(model, row))
                if changes:
                    model._default_manager.filter(pk=row.pk).update(**changes)


def _changes(model: type[models.Model], row: models.Model) -> Iterator[tuple[str, Any]]:
    for field in model._meta.concrete_fields:
        if field.name in OWN.get(model.__name__, set()) or field.choices:
            continue
        if isinstance(field, models.CharField | models.TextField):
            yield field.name, f"{ALL} {row.pk}"
        elif isinstance(row, Finding) and field.name == "facts":
            yield field.name, _soiled_facts(row)
        elif isinstance(field, models.JSONField):
            yield field.name, _soiled(getattr(row, field.name))


def _soiled_facts(finding: Finding) -> Any:
    """Each of them by itself: a word of the panel's own (a cause) stays, else it were no facts."""
    facts: dict[str, Any] = finding.facts or {}
    found = dict(facts)
    for name, value in facts.items():
        one = {**found, name: _soiled(value)}
        if parse_facts(finding.kind, one) is not None:
            found = one
    assert found != facts
    return found


def _soiled(value: Any) -> Any:
    """The same shape with hostile leaves; times stay, as their parsers refuse anything else."""
    if isinstance(value, dict):
        return {key: _soiled(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_soiled(one) for one in value]
    if not isinstance(value, str):
        return value
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return ALL
    return value
