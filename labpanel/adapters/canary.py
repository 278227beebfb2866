"""One look at a machine's file systems, by scripts/canary.py."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.machine import Machine
from labpanel.lib.shapes import Endpoint

SCRIPT = Path(__file__).parent / "scripts" / "canary.py"
# A healthy disk takes a block within milliseconds, a busy one within a second or two.
PROBE_SECONDS = 8
DEADLINE = 22


def look(endpoint: Endpoint, folders: Sequence[str]) -> dict[str, Any]:
    """The script's answer (its docstring has the shape). Raises an AdapterError."""
    asked = json.dumps({"folders": list(folders), "seconds": PROBE_SECONDS})
    output = Machine(endpoint).run_script(SCRIPT, [asked], deadline=DEADLINE)
    try:
        answer: dict[str, Any] = json.loads(output.stdout)
    except ValueError as error:
        raise AdapterError(
            f"The health check of {endpoint.name} gave no usable answer.", output.text[:2000]
        ) from error
    return answer
