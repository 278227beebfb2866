"""A store whose folder is there and empty: what should be mounted on it is not."""

from pathlib import Path

import pytest

from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.lib.shapes import PANEL

VM = "11111111-2222-4333-8444-555555555555"


def test_nothing_is_written_below_where_a_store_was_mounted(tmp_path: Path) -> None:
    with Keeper(Machine(PANEL), str(tmp_path), "panel-one") as keeper:
        store_id = keeper.init()
    (tmp_path / "labpanel-store.json").unlink()
    with (
        Keeper(Machine(PANEL), str(tmp_path), "panel-one", store_id) as keeper,
        pytest.raises(ScriptRefused, match="is empty: mount what should be mounted there"),
    ):
        keeper.lock(VM, exclusive=False)
    assert list(tmp_path.iterdir()) == []
