"""When are two drives, of two hosts, one drive? Coverage asks it of a copy's place."""

import pytest

from backups.selectors.stores.drives import keys_below
from hosts.models import FileSystem, PhysicalDisk
from tests.services.looked import NOW, Ground


@pytest.mark.parametrize(
    ("key", "model", "is_one"),
    [
        ("0x5000c500a1b2c3d7", "Example", True),
        ("Example S1", "Example", True),
        ("Example S1", "", False),
        ("Ultra /dev/sdb", "Ultra", False),
        ("0x0000000000000000", "Example", False),
        ("0x5000000000000000", "Example", False),
    ],
)
def test_only_a_name_of_its_own_makes_them_one(
    ground: Ground, key: str, model: str, is_one: bool
) -> None:
    places = []
    for host in (ground.alpha, ground.beta):
        place = FileSystem.objects.create(
            host=host, mount_point="/srv/own", source="/dev/sdb1", fstype="ext4", seen_at=NOW
        )
        place.drives.add(
            PhysicalDisk.objects.create(
                host=host, key=key, model=model, device="/dev/sdb", seen_at=NOW
            )
        )
        places.append(keys_below(place))
    assert bool(places[0] & places[1]) == is_one
