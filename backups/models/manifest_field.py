"""A column that holds the JSON of a manifest, and gives it as a value."""

from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from labpanel.lib.refusal import Refusal
from labpanel.lib.store_format.manifest import Manifest
from labpanel.lib.store_format.reading import checked
from labpanel.lib.strict_json import Malformed


@dataclass(frozen=True, slots=True)
class _Unread:
    """As the database gave it."""

    json: object


class _WhenAsked(DeferredAttribute):
    """Reads the JSON of a row when its value is first asked for: most rows are listed, and only
    some are looked into."""

    def __get__(self, row: Any, owner: Any = None) -> Any:
        found = super().__get__(row, owner)
        if isinstance(found, _Unread):
            found = row.__dict__[self.field.attname] = _value(found)
        return found

    def __set__(self, row: Any, value: Any) -> None:
        row.__dict__[self.field.attname] = value


class ManifestField(models.JSONField):
    """Its rows were checked before they were written. Raises Refusal when one is read that is not
    what was written."""

    descriptor_class = _WhenAsked
    _pyi_private_set_type: Manifest
    _pyi_private_get_type: Manifest

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> _Unread:
        return _Unread(super().from_db_value(value, expression, connection))

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Manifest):
            return value.as_json()
        return value.json if isinstance(value, _Unread) else value

    def deconstruct(self) -> Any:
        """For migrations: the database has a column of JSON."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs


def _value(unread: _Unread) -> Manifest:
    try:
        return checked(unread.json)
    except Malformed as error:
        raise Refusal(
            f"The panel's own copy of a manifest is damaged: {error}. Restore the panel from a "
            "copy of it, or remove the store and add it again.",
            409,
        ) from error
