"""Stand-in for smartctl(8) on a practice host: answers with recordings.

Called as `smartctl_standin.py FOLDER [smartctl's arguments]`. FOLDER holds `<device>.txt` (text
form) and `<device>.json` (`--json` form), recorded without `-d` or with the right one. Stands
alone: the lab copies it to the host.

It is no kinder than smartmontools 7.4 on Linux (smartctl.cpp, os_linux.cpp, scsiprint.cpp):

- `--scan` opens nothing and calls every /dev/sdX "scsi"; `--scan-open` opens it and knows better.
- `-d scsi` on a SATA drive is answered by its translation layer: vendor "ATA", no verdict, no
  attributes, exit status 4. `-d sat` on a SAS drive, or `-d nvme` on neither, cannot open it.
- Options, types and arguments that it does not know are refused with exit status 1, in JSON only
  where -j came before them.
"""

from __future__ import annotations

import getopt
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

VERSION = "smartctl 7.4 2023-08-01 r5530 [x86_64-linux] (practice lab stand-in)"
NUMBER = [7, 4]

EXIT_USAGE, EXIT_NO_DEVICE, EXIT_COMMAND = 1, 2, 4
"""Bits 0 to 2 of smartctl's exit status: the command line, opening the device, a SMART command."""

SELF_TEST_FAILED = re.compile(r"^# ?\d+ .*(read failure|servo|electrical|Fatal)", re.MULTILINE)

SHORT = "h?Vq:d:T:b:r:s:o:S:HcAl:iav:P:t:CXF:n:B:f:g:xj"
LONG = [
    *("help", "version", "copyright", "license", "health", "capabilities", "attributes", "info"),
    *("all", "xall", "captive", "abort", "scan", "scan-open", "quietmode=", "device=", "log="),
    *("tolerance=", "badsum=", "report=", "smart=", "offlineauto=", "saveauto=", "presets="),
    *("vendorattribute=", "test=", "firmwarebug=", "nocheck=", "drivedb=", "format=", "get="),
    "set=",
]
"""smartctl.cpp, parse_options; --json with its optional letters is taken out before."""

JSON_LETTERS = "cgiosuvy"
LOGS = re.compile(
    r"x?error(,\d+)?(,error)?|x?selftest(,\d+)?(,selftest)?|selective|directory(,[gs])?|scttemp"
    r"|scttempsts|scttemphist|scterc|devstat(,\w+)?|defects(,\d+)?|sataphy|sasphy|background|ssd"
    r"|envrep|genstats|(gp|smart)log,\S+|nvmelog,\S+"
)
TESTS = re.compile(r"offline|short|long|conveyance|force|vendor,\w+|select,\S+|pending,\d+")
STANDBY = re.compile(r"(never|sleep|standby|idle)(,\d+(,\d+)?)?")
TYPES = re.compile(
    r"auto|test|ata|scsi|nvme(,\w+)?|sat(,auto)?(,\d+)?(\+\S+)?|usbcypress(,\w+)?"
    r"|usbjmicron(,p)?(,x)?(,\d)?|usbprolific|usbsunplus|sntasmedia|sntjmicron(,\w+)?|sntrealtek"
    r"|intelliprop,\S+|jmb39x\S*|jms56x\S*|megaraid,\d+|3ware,\d+|areca,\S+|cciss,\d+|hpt,\S+"
    r"|aacraid,\S+|marvell|ssst,\S+"
)


class SmartctlRefused(Exception):
    """What smartctl says on standard output, or in its messages, before it ends."""

    def __init__(self, status: int, *lines: str) -> None:
        super().__init__(*lines)
        self.status = status
        self.lines = lines


class Call:
    """One command line. Raises Refused as smartctl does."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        plain = [self._letters(word) for word in words]
        try:
            found, self.names = getopt.gnu_getopt(plain, SHORT, LONG)
        except getopt.GetoptError as odd:
            what = (
                "ARGUMENT REQUIRED FOR OPTION" if "requires" in odd.msg else "UNRECOGNIZED OPTION"
            )
            raise SmartctlRefused(EXIT_USAGE, f"=======> {what}: {odd.opt}") from odd
        self.options = dict(found)
        self.as_json = "-j" in self.options
        self.type = self._value("-d", "--device", TYPES)
        self._value("-l", "--log", LOGS)
        self._value("-n", "--nocheck", STANDBY)
        self._value("-t", "--test", TESTS)

    def _letters(self, word: str) -> str:
        """`--json=co` as -j, once its letters were looked at."""
        found = re.fullmatch(r"--json(?:=(.*))?", word)
        if found is None:
            return word
        if set(found[1] or "") - set(JSON_LETTERS):
            raise SmartctlRefused(EXIT_USAGE, f"=======> INVALID ARGUMENT TO --json: {found[1]}")
        return "-j"

    def _value(self, short: str, long: str, known: re.Pattern[str]) -> str:
        value = self.options.get(short, self.options.get(long, ""))
        if not value or known.fullmatch(value):
            return value
        if short == "-d":  # it is not looked at before the device is
            raise SmartctlRefused(
                EXIT_USAGE,
                f"{' '.join(self.names)}: Unknown device type '{value}'",
                "=======> VALID ARGUMENTS ARE: ata, scsi[+TYPE], nvme[,NSID], sat[,auto]",
            )
        raise SmartctlRefused(EXIT_USAGE, f"=======> INVALID ARGUMENT TO {short}: {value}")

    def has(self, *names: str) -> bool:
        return any(name in self.options for name in names)

    @property
    def device(self) -> str:
        if len(self.names) != 1:
            what = "requires a device" if not self.names else "takes ONE device"
            raise SmartctlRefused(
                EXIT_USAGE, f"ERROR: smartctl {what} name as the final command-line argument."
            )
        return Path(self.names[0]).name


def devices(folder: Path) -> list[str]:
    """Names of the recorded devices, such as sda."""
    found = {path.stem for path in folder.iterdir() if path.suffix in {".txt", ".json"}}
    return sorted(name for name in found if not name.startswith("."))


def recording(folder: Path, name: str) -> dict[str, Any]:
    """The JSON form; empty where there is none that can be read."""
    try:
        said = json.loads((folder / f"{name}.json").read_text(errors="replace"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def protocol(folder: Path, name: str) -> str:
    """ATA, SCSI or NVMe: what smartctl finds when it opens the device."""
    if name.startswith("nvme"):
        return "NVMe"
    device = recording(folder, name).get("device")
    said = device.get("protocol") if isinstance(device, dict) else None
    if said in {"ATA", "SCSI", "NVMe"}:
        return str(said)
    path = folder / f"{name}.txt"
    text = path.read_text(errors="replace") if path.exists() else ""
    return "SCSI" if "Transport protocol:" in text else "ATA"


def kind(folder: Path, name: str, *, opened: bool) -> tuple[str, str]:
    """Type and protocol as a scan shows them; what was not opened is known by its name alone."""
    found = protocol(folder, name) if opened or name.startswith("nvme") else "SCSI"
    return {"NVMe": "nvme", "SCSI": "scsi", "ATA": "sat"}[found], found


def head(call: Call, status: int, *messages: str) -> dict[str, Any]:
    """What every JSON answer begins with."""
    own: dict[str, Any] = {"version": NUMBER, "argv": ["smartctl", *call.words]}
    if messages:
        own["messages"] = [{"string": text, "severity": "error"} for text in messages]
    return {"json_format_version": [1, 0], "smartctl": {**own, "exit_status": status}}


def scan(folder: Path, call: Call) -> int:
    """Answer `--scan` and `--scan-open`."""
    opened = call.has("--scan-open")
    found = [(f"/dev/{name}", *kind(folder, name, opened=opened)) for name in devices(folder)]
    if call.as_json:
        rows = [
            {"name": name, "info_name": name, "type": type_, "protocol": spoken}
            for name, type_, spoken in found
        ]
        print(json.dumps(head(call, 0) | ({"devices": rows} if rows else {}), indent=2))
    else:
        for name, type_, spoken in found:
            print(f"{name} -d {type_} # {name}, {spoken} device")
    return 0


def exit_status(text: str) -> int:
    """The exit status that smartctl derives from what the text form says."""
    failing = 8 if re.search(r"(overall-health|Health Status).*(FAILED|FAILING)", text) else 0
    now = 16 if "FAILING_NOW" in text else 0
    past = 32 if "In_the_past" in text else 0
    errors = 64 if re.search(r"(?:ATA Error Count|Device Error Count): [1-9]", text) else 0
    tests = 128 if SELF_TEST_FAILED.search(text) else 0
    return failing | now | past | errors | tests


def no_device(name: str, why: str = "No such device") -> SmartctlRefused:
    return SmartctlRefused(EXIT_NO_DEVICE, f"Smartctl open device: /dev/{name} failed: {why}")


def disguised(call: Call, name: str, said: dict[str, Any], text: str) -> int:
    """A SATA drive that is asked as SCSI: libata's translation gives its name and size, and has
    neither the page for a verdict (IE) nor the logs."""
    model = said.get("model_name") or next(iter(re.findall(r"Device Model: +(.*)", text)), name)
    serial = said.get("serial_number") or next(iter(re.findall(r"Serial Number: +(.*)", text)), "")
    if call.as_json:
        answer = head(call, EXIT_COMMAND) | {
            "device": {
                "name": f"/dev/{name}",
                "info_name": f"/dev/{name}",
                "type": "scsi",
                "protocol": "SCSI",
            },
            "scsi_vendor": "ATA",
            "scsi_product": model[:16],
            "scsi_model_name": f"ATA {model[:16]}",
            "scsi_revision": str(said.get("firmware_version", ""))[:4],
            "scsi_version": "SPC-3",
            "user_capacity": said.get("user_capacity", {}),
            "serial_number": serial,
            "smart_support": {"available": False},
        }
        print(json.dumps(answer, indent=2))
    else:
        print(f"{VERSION}\n\n=== START OF INFORMATION SECTION ===\nVendor:               ATA")
        print(f"Product:              {model[:16]}\nSerial number:        {serial}")
        print("SMART support is:     Unavailable - device lacks SMART capability.")
    return EXIT_COMMAND


def detected(folder: Path, name: str) -> int:
    """Answer `-d test`: open the device and say what it is."""
    type_, spoken = kind(folder, name, opened=True)
    first, said = kind(folder, name, opened=False)
    print(f"{VERSION}\n\n/dev/{name}: Device of type '{first}' [{said}] detected")
    print(f"/dev/{name}: Device of type '{type_}' [{spoken}] opened")
    return 0


def report(folder: Path, call: Call, name: str) -> int:
    """Answer any question about a device with its whole recording."""
    spoken, asked = protocol(folder, name), call.type.partition(",")[0].partition("+")[0]
    if asked == "nvme" and spoken != "NVMe":
        raise no_device(name, "NVME_IOCTL_ID: Inappropriate ioctl for device")
    if spoken == "NVMe" and asked not in {"", "auto", "nvme"}:
        raise no_device(name, "INQUIRY failed")
    if asked == "sat" and spoken == "SCSI":
        raise SmartctlRefused(
            EXIT_NO_DEVICE, "Read Device Identity failed: scsi error unsupported field"
        )
    path = folder / f"{name}.{'json' if call.as_json else 'txt'}"
    if asked == "scsi" and spoken == "ATA":
        beside = folder / f"{name}.txt"
        text = beside.read_text(errors="replace") if beside.exists() else ""
        return disguised(call, name, recording(folder, name), text)
    if not path.exists():
        raise no_device(name)
    text = path.read_text(errors="replace")
    sys.stdout.write(text)
    if not call.as_json:
        return exit_status(text)
    own = recording(folder, name).get("smartctl", {})
    return int(own.get("exit_status", 0))


def answer(folder: Path, call: Call) -> int:
    """What smartctl does with one call; its exit status."""
    if call.has("-V", "--version"):
        print(VERSION)
        return 0
    if call.has("--scan", "--scan-open"):
        return scan(folder, call)
    name = call.device
    if name not in devices(folder):
        raise no_device(name)
    if call.type == "test":
        return detected(folder, name)
    if call.has("-t", "--test"):  # taken, and nothing runs, since there is no drive
        print(f"{VERSION}\n\nTesting has begun.\nUse smartctl -X to abort test.")
        print(f"Test of {name} will complete after {time.ctime()}")
        return 0
    return report(folder, call, name)


def _json_came_first(arguments: list[str], refused: SmartctlRefused) -> bool:
    """Whether -j was met before what is refused: the words up to there are parsed one by one."""
    asked = [bool(re.match(r"--json|-[acAHixCX]*j", word)) for word in arguments]
    if True not in asked:
        return False
    culprit = refused.lines[0].rpartition(": ")[2] if "=======>" in refused.lines[0] else ""
    places = [at for at, word in enumerate(arguments) if culprit and word.lstrip("-") == culprit]
    return not places or asked.index(True) < places[0]


def main(folder: Path, arguments: list[str]) -> int:
    """Answer one call; returns smartctl's exit status."""
    try:
        return answer(folder, Call(arguments))
    except SmartctlRefused as refused:
        if _json_came_first(arguments, refused):
            own = {"version": NUMBER, "argv": ["smartctl", *arguments]}
            lines = [{"string": line, "severity": "error"} for line in refused.lines]
            said = {**own, "messages": lines, "exit_status": refused.status}
            print(json.dumps({"json_format_version": [1, 0], "smartctl": said}, indent=2))
        else:
            print("\n".join((VERSION, "", *refused.lines)))
            if refused.status == EXIT_USAGE:
                print("\nUse smartctl -h to get a usage summary")
        return refused.status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
