"""Which rows the drives of one look are; new ones are made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hosts.models import Host, PhysicalDisk
from labpanel.lib import drive_names
from labpanel.lib.drive_names import DriveName

# Drives that a host has or had: what is gone is kept, so a host that names other ones at each look
# would fill the database.
MOST_KNOWN = 2000
_MOST_KEY = 128


@dataclass(frozen=True, slots=True)
class Sighting:
    """A drive as one look names it."""

    device: str
    model: str
    serial: str
    wwn: str
    interface: str = ""
    size_bytes: int | None = None

    @property
    def name(self) -> DriveName:
        return DriveName.of(
            wwn=self.wwn,
            serial=self.serial,
            model=self.model,
            device=self.device,
            interface=self.interface,
            size=self.size_bytes,
        )


def recognise_drives(
    host: Host,
    seen: Sequence[Sighting],
    now: datetime,
    *,
    only_smart: bool,
    most: int = MOST_KNOWN,
) -> list[PhysicalDisk | None]:
    """The row of each, in the same order, no row twice; None for a new one beyond `most`."""
    rows = sorted(PhysicalDisk.objects.filter(host=host), key=lambda row: bool(row.missing_since))
    names = [each.name for each in seen]
    places = drive_names.pair(names, [_name(row) for row in rows])
    taken = {row.key for row in rows}
    found: list[PhysicalDisk | None] = []
    for each, name, place in zip(seen, names, places, strict=True):
        if place is not None:
            found.append(rows[place])
            continue
        if len(taken) >= most:
            found.append(None)
            continue
        key = drive_names.new_key(name, each.wwn, each.serial, taken, _MOST_KEY)
        row, _ = PhysicalDisk.objects.get_or_create(
            host=host, key=key, defaults={"seen_at": now, "only_smart": only_smart}
        )
        taken.add(key)
        found.append(row)
    return found


def _name(row: PhysicalDisk) -> DriveName:
    """What is gone is not at its place any more, unless its place is all that it is known by. Rows
    from before `wwn` have it in their key."""
    name = DriveName.of(
        wwn=row.wwn or (row.key if row.key.startswith(("0x", "naa.", "eui.")) else ""),
        serial=row.serial,
        model=row.model,
        device=row.device,
        interface=row.interface,
        size=row.size_bytes,
    )
    is_elsewhere = row.missing_since is not None and bool(name.wwn or name.serial)
    return replace(name, device="") if is_elsewhere else name
