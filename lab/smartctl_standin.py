"""Stand-in for smartctl(8) on a practice host: answers with recordings.

Called as `smartctl_standin.py FOLDER [smartctl's arguments]`. FOLDER holds
`<device>.txt` (text form) and `<device>.json` (`--json` form). Stands alone:
the lab copies it to the host.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

VERSION = "smartctl 7.3 2022-02-28 r5338 (practice lab stand-in)"

EXIT_NO_DEVICE = 2
"""Bit 1 of smartctl's exit status: device open failed."""

EXIT_USAGE = 1
"""Bit 0 of smartctl's exit status: the command line did not parse."""

SELF_TEST_FAILED = re.compile(r"^# ?\d+ .*(read failure|servo|electrical|Fatal)", re.MULTILINE)

VALUED = {"-d", "-n", "-l", "-t", "-f", "-P", "-B", "-q", "-T", "-b", "-r", "-v", "-s", "-g"}
"""Short options whose value is the next word."""


def devices(folder: Path) -> list[str]:
    """Names of the recorded devices, such as sda."""
    found = {path.stem for path in folder.iterdir() if path.suffix in {".txt", ".json"}}
    return sorted(name for name in found if not name.startswith("."))


def kind(name: str) -> tuple[str, str]:
    """smartctl's type and protocol of a device, told by its name."""
    return ("nvme", "NVMe") if name.startswith("nvme") else ("sat", "ATA")


def scan(folder: Path, *, as_json: bool) -> int:
    """Answer `--scan` and `--scan-open`."""
    found = [(f"/dev/{name}", *kind(name)) for name in devices(folder)]
    if as_json:
        rows = [{"name": n, "info_name": n, "type": t, "protocol": p} for n, t, p in found]
        head = {"version": [7, 3], "argv": ["smartctl", *sys.argv[2:]], "exit_status": 0}
        answer = {"json_format_version": [1, 0], "smartctl": head, "devices": rows}
        print(json.dumps(answer, indent=2))
    else:
        for name, device_type, protocol in found:
            print(f"{name} -d {device_type} # {name}, {protocol} device")
    return 0


def exit_status(text: str) -> int:
    """The exit status that smartctl derives from what the text form says."""
    failing = 8 if re.search(r"(overall-health|Health Status).*(FAILED|FAILING)", text) else 0
    now = 16 if "FAILING_NOW" in text else 0
    past = 32 if "In_the_past" in text else 0
    errors = 64 if re.search(r"(?:ATA Error Count|Device Error Count): [1-9]", text) else 0
    tests = 128 if SELF_TEST_FAILED.search(text) else 0
    return failing | now | past | errors | tests


def no_device(name: str, *, as_json: bool) -> int:
    """Answer as smartctl does for a device that it can't open."""
    message = f"Smartctl open device: /dev/{name} failed: No such device"
    if as_json:
        lines = [{"string": message, "severity": "error"}]
        head = {"version": [7, 3], "messages": lines, "exit_status": EXIT_NO_DEVICE}
        print(json.dumps({"json_format_version": [1, 0], "smartctl": head}, indent=2))
    else:
        print(f"{VERSION}\n\n{message}")
    return EXIT_NO_DEVICE


def self_test(name: str) -> int:
    """Answer `-t short|long`: taken, and nothing runs, since there is no drive."""
    print(f"{VERSION}\n\nTesting has begun.\nUse smartctl -X to abort test.")
    print(f"Test of {name} will complete after {time.ctime()}")
    return 0


def report(folder: Path, name: str, *, as_json: bool) -> int:
    """Answer any question about a device with its whole recording."""
    path = folder / f"{name}.{'json' if as_json else 'txt'}"
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return no_device(name, as_json=as_json)
    sys.stdout.write(text)
    if not as_json:
        return exit_status(text)
    return int(json.loads(text).get("smartctl", {}).get("exit_status", 0))


def positional(arguments: list[str]) -> list[str]:
    """The words that are neither options nor an option's value."""
    pairs = zip(["", *arguments], arguments, strict=False)
    return [word for before, word in pairs if word[0] != "-" and before not in VALUED]


def main(folder: Path, arguments: list[str]) -> int:
    """Answer one call; returns smartctl's exit status."""
    options = [word for word in arguments if word.startswith("-")]
    # Short options join, as in `-jx`; the value of --json (=c, =o…) changes the layout only.
    short = "".join(word[1:] for word in options if not word.startswith("--"))
    as_json = "j" in short or any(word.startswith("--json") for word in options)
    if "-V" in options or "--version" in options:
        print(VERSION)
        return 0
    if "--scan" in options or "--scan-open" in options:
        return scan(folder, as_json=as_json)
    names = [Path(word).name for word in positional([a for a in arguments if a])]
    if len(names) != 1:
        print(f"{VERSION}\n\nERROR: smartctl requires a device name as the final argument.")
        return EXIT_USAGE
    if "-t" in options or any(word.startswith("--test") for word in options):
        return (
            self_test(names[0])
            if names[0] in devices(folder)
            else no_device(names[0], as_json=False)
        )
    return report(folder, names[0], as_json=as_json)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
