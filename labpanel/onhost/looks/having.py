"""Whether a machine has what a VM needs of it: files, devices, programs, networks. Only looks.

One look for moves (ground.py) and for restores (exporter.py). Standard library only.
"""

import os
import shutil
from pathlib import Path
from typing import Any

_NETWORK = Path("/sys/class/net")


def there(path: str) -> bool:
    """Also of a name that is too long to be one."""
    return os.path.exists(path)  # noqa: PTH110 - Path raises for such


def having(needed: list[str], programs: list[str]) -> dict[str, Any]:
    """Which of the `needed` files and devices and which programs are missing, and the names of the
    bridges and of all network interfaces that are there."""
    return {
        "missing": [path for path in needed if not there(path)],
        "missing_programs": [name for name in programs if shutil.which(name) is None],
        "bridges": sorted(path.parent.name for path in _NETWORK.glob("*/bridge")),
        "interfaces": sorted(path.name for path in _NETWORK.iterdir()),
    }
