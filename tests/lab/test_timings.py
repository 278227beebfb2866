"""What is promised within a minute, by a panel with its true pauses (labpanel/lib/tempo.py)."""

from collections.abc import Callable
from typing import Any

import pytest

from lab import faults
from lab.state import Lab
from tests.lab.asking import PLACE, trouble
from tests.lab.panels import Panel

Eventually = Callable[..., Any]


@pytest.fixture(scope="module")
def tempo() -> str:
    return ""


def test_a_read_only_file_system_is_named_and_well_again(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    """The panel names it within a minute."""
    alpha = lab.layout.host("alpha")

    def named() -> dict[str, Any] | None:
        """A look in the very moment of the error meets EIO, as the fault is caused."""
        found = trouble(panel, "file-system")
        says = f"alpha cannot write to {PLACE} since "
        return found if found is not None and found["title"].startswith(says) else None

    faults.cause(alpha, "readonly")
    try:
        found = eventually(named, "alpha's disk is named", 60)
        assert found["host"] == "alpha"
        assert found["severity"] == "bad"
        assert {"home", "web", "store"} <= {each["vm"] for each in found["affected"]}
        said = {row["what"]: row for row in found["evidence"]}
        assert said["ext4 errors"]["value"] >= 1
        assert said["ext4 errors"]["since"] == found["opened_at"]
        assert said[f"write probe in {PLACE}"]["value"] == "read-only EROFS"
    finally:
        faults.heal(lab.layout, alpha)
    eventually(lambda: trouble(panel, "file-system") is None, "alpha is well again", 60)
