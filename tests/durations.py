"""How long a run took, by tier, file and worker: a table at its end, all of it as JSON.

The JSON (`REPORT`): `{wall, workers, tiers: {tier: {tests, seconds}}, files: {path: {tier, worker,
setup, call, teardown, began, ended}}, tests: {id: seconds}}`. Everything is in seconds; `began` and
`ended` count from the run's begin, `seconds` of a tier add up over all workers.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

REPORT = Path(__file__).resolve().parent.parent / "var" / "test-durations.json"
TIERS = ("quick", "qemu", "lab", "slow")
"""Markers, given by folder in conftest.py. Each test has exactly one of them."""
LONGEST = 8


@dataclass
class File:
    """One file of tests: seconds of its three steps, and when it ran."""

    tier: str
    worker: str
    began: float
    ended: float = 0.0
    setup: float = 0.0
    call: float = 0.0
    teardown: float = 0.0

    def whole(self) -> float:
        return self.setup + self.call + self.teardown


@dataclass(eq=False)  # pytest keeps its plugins in sets
class Durations:
    """Listens to the reports of all workers, in the process that pytest was started as."""

    began: float = field(default_factory=time.monotonic)
    files: dict[str, File] = field(default_factory=dict)
    tests: dict[str, float] = field(default_factory=dict)
    tiers: dict[str, str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        now = time.monotonic() - self.began
        name = report.nodeid.partition("::")[0]
        tier = next((tier for tier in TIERS if tier in report.keywords), "none")
        worker = getattr(report, "worker_id", "main")
        file = self.files.setdefault(name, File(tier, worker, now - report.duration))
        file.ended = now
        setattr(file, report.when, getattr(file, report.when) + report.duration)
        self.tests[report.nodeid] = self.tests.get(report.nodeid, 0.0) + report.duration
        self.tiers[report.nodeid] = tier

    def report(self) -> dict[str, object]:
        return {
            "wall": round(time.monotonic() - self.began, 1),
            "workers": len({file.worker for file in self.files.values()}),
            "tiers": {tier: self.of_tier(tier) for tier in sorted(set(self.tiers.values()))},
            "files": {name: _rounded(file) for name, file in sorted(self.files.items())},
            "tests": {name: round(seconds, 2) for name, seconds in sorted(self.tests.items())},
        }

    def of_tier(self, tier: str) -> dict[str, float]:
        mine = [self.tests[name] for name, its in self.tiers.items() if its == tier]
        return {"tests": len(mine), "seconds": round(sum(mine), 1)}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.files:
            return
        REPORT.parent.mkdir(exist_ok=True)
        partial = REPORT.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(self.report(), indent=1) + "\n", encoding="utf-8")
        partial.replace(REPORT)
        terminalreporter.section("seconds by tier and file")
        for line in self.table():
            terminalreporter.write_line(line)

    def table(self) -> list[str]:
        wall = time.monotonic() - self.began
        lines = [f"wall {wall:.0f} s on {len({f.worker for f in self.files.values()})} workers"]
        for tier in TIERS:
            found = self.of_tier(tier)
            if found["tests"]:
                lines.append(f"{tier:6} {found['tests']:5.0f} tests {found['seconds']:6.0f} s")
        longest = sorted(self.files.items(), key=lambda pair: pair[1].whole(), reverse=True)
        for name, file in longest[:LONGEST]:
            steps = f"{file.setup:5.0f} set-up {file.call:5.0f} call {file.teardown:5.0f} end"
            lines.append(f"{name:40} {steps}, from {file.began:.0f} to {file.ended:.0f} s")
        return [*lines, f"all of them: {REPORT}"]


def _rounded(file: File) -> dict[str, object]:
    return {
        name: round(value, 1) if isinstance(value, float) else value
        for name, value in asdict(file).items()
    }


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Durations(), "labpanel-durations")
