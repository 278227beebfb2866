"""What a panel lists, asked again and again without starting Django each time."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from tests.lab.panels import REPOSITORY, Panel

_PROGRAM = """
import json, sys
from django.utils import timezone
from hosts.selectors.lists import host_list, vm_list
for line in sys.stdin:
    now = timezone.now()
    rows = {"hosts": host_list, "vms": vm_list}[line.strip()](now)
    print(json.dumps([row.as_json() for row in rows]), flush=True)
"""


@dataclass(frozen=True)
class Watcher:
    """The same rows as `host list --json` and `vm list --json`, by name."""

    process: subprocess.Popen[str]

    def hosts(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self._ask("hosts")}

    def states(self, host: str) -> dict[str, str]:
        return {row["name"]: row["state"] for row in self._ask("vms") if row["host"] == host}

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)

    def _ask(self, what: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def watch(panel: Panel) -> Watcher:
    """The caller closes it."""
    return Watcher(
        subprocess.Popen(
            [sys.executable, "manage.py", "shell", "-v", "0", "-c", _PROGRAM],
            cwd=REPOSITORY,
            env=panel.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
