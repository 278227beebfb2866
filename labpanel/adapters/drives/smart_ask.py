"""smartctl on a machine: how it is called, which drives it lists, who refuses when it is not run.

Sources: smartctl(8) and smartctl.cpp (options, exit status, `--scan`); os_linux.cpp, whose scan
calls every /dev/sdX "scsi" without opening it; sudo(8): what sudo itself refuses ends with status
1, words on standard error, nothing on standard output, in the language of the user's locale.
"""

import logging
import os
import pwd
import re

from labpanel.adapters.answers import safe_json
from labpanel.adapters.errors import AdapterError, CommandFailed, Excessive, Missing, TimedOut
from labpanel.adapters.ssh.machine import Machine, Output
from labpanel.lib import closed
from labpanel.lib.closed import Odd
from labpanel.lib.printable import printable
from labpanel.lib.shapes import Endpoint

log = logging.getLogger(__name__)
SECONDS = 20  # a healthy drive answers within one or two
_MOST = 1 << 20  # bytes; a drive with full logs says some 200 KiB
_MOST_SCANNED = 512
NOT_FOUND = 127  # POSIX: the shell's, and env's, status for a command that is not there
COMMAND_LINE = 1  # bit 0 of smartctl's status: it did not parse, or the database could not be read
# Words of smartctl's command line: no option, no way out of /dev. As long as the database keeps.
_DEVICE = re.compile(r"/dev/(?!.*\.\.)[A-Za-z0-9_!.:/-]{1,59}")
_KIND = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_+/,:-]{0,31})?")
# What `--scan` guesses by a device's name; every other type names a controller or a bridge.
_GUESSES = {"", "auto", "ata", "sat", "sat,auto", "scsi", "nvme"}
# Controllers behind which a drive is reached as SCSI, or with "sat+" as ATA (smartctl(8), -d).
_PASS_THROUGH = ("megaraid,", "cciss,", "aacraid,")
# sudo's own "sudo: smartctl: command not found", in any language; a shell's or env's words.
_NO_SMARTCTL = re.compile(
    r"^sudo: smartctl:|smartctl\W{0,3} ?(command )?not found|smartctl\W{1,3}No such file"
    r"|(not found|unknown command)\W{1,3}smartctl",
    re.IGNORECASE | re.MULTILINE,
)
_NO_SUDO = re.compile(
    r"\bsudo\W{0,3} ?(command )?not found|\bsudo\W{1,3}No such file"
    r"|(not found|unknown command)\W{1,3}sudo",
    re.IGNORECASE,
)


def ask(machine: Machine, *words: str) -> Output:
    """What smartctl says to these words, with any status. LC_ALL holds for sudo's own words too;
    `env` sets it under every login shell."""
    called = ["env", "LC_ALL=C", *sudo(machine.endpoint), "smartctl", *words]
    name = machine.endpoint.name
    try:
        return machine.run(called, deadline=SECONDS, ok=None, most=_MOST)
    except TimedOut as late:
        sentence = f"smartctl on {name} gave no answer within {SECONDS} s: it hangs"
        raise TimedOut(f"{sentence}, or the network is cut.", late.detail) from late
    except Excessive as excess:
        raise Excessive(
            f"smartctl on {name} answered with more than {_MOST >> 20} MiB: the answer is not used."
        ) from excess


def sudo(endpoint: Endpoint) -> list[str]:
    return [] if is_root(endpoint) else ["sudo", "-n"]


def is_root(endpoint: Endpoint) -> bool:
    if endpoint.is_local:
        return os.geteuid() == 0
    return endpoint.target.startswith("root@")


def named(kind: str) -> str:
    """The type to pass on with `-d`: none for a guess, since smartctl finds out when it opens."""
    return "" if kind.lower() in _GUESSES else kind


def as_ata(kind: str) -> str:
    """The type that asks the same drive through SCSI's ATA pass-through; empty where none does."""
    if not kind:
        return "sat"
    return f"sat+{kind}" if kind.startswith(_PASS_THROUGH) else ""


def scan(machine: Machine) -> list[tuple[str, str]]:
    """(device, type to pass on) of every drive. Raises an AdapterError where smartctl was not run:
    an empty list means that it found none."""
    output = ask(machine, "--scan", "-j")
    refused = refusal(machine, output)
    if refused is not None:
        raise refused
    try:
        said = closed.entries(safe_json.parse(output.stdout), "answer")
        rows = closed.items(said.get("devices", []), "drives", most=_MOST_SCANNED)
    except (safe_json.UnsafeJson, Odd):
        found = _scan_by_text(machine)
    else:
        listed = [row for row in rows if isinstance(row, dict)]
        found = [(str(row.get("name", "")), str(row.get("type", ""))) for row in listed]
        if not found and output.status & COMMAND_LINE:
            raise _failed(machine, output)
    kept = [pair for pair in found if _DEVICE.fullmatch(pair[0]) and _KIND.fullmatch(pair[1])]
    if len(kept) < len(found):
        name = machine.endpoint.name
        log.warning("%s names %d drives that are none", name, len(found) - len(kept))
    return list(dict.fromkeys((device, named(kind)) for device, kind in kept))


def _scan_by_text(machine: Machine) -> list[tuple[str, str]]:
    """smartctl before 7.0 knows no JSON: `/dev/sda -d sat # /dev/sda, ATA device`"""
    plain = ask(machine, "--scan")
    refused = refusal(machine, plain)
    if refused is not None:
        raise refused
    found = re.findall(r"^(/\S+) -d (\S+)", plain.text, re.MULTILINE)
    if not found and plain.status:
        raise _failed(machine, plain)
    return found


def refusal(machine: Machine, output: Output) -> AdapterError | None:
    """Why smartctl was not run at all; None where it was."""
    if output.stdout.strip() or output.status == 0:
        return None
    host, words = machine.endpoint.name, output.stderr.decode("utf-8", "replace")
    by_sudo, not_found = not is_root(machine.endpoint), output.status == NOT_FOUND
    if _NO_SMARTCTL.search(words) or (not_found and not by_sudo):
        return Missing(
            f"smartctl is not installed on {host}; there, run `apt install smartmontools`.", words
        )
    if by_sudo and (not_found or _NO_SUDO.search(words)):
        return Missing(
            f"sudo is not installed on {host}, and the panel's user there is not root, which "
            "smartctl needs. There, as root, run `apt install sudo`, and allow smartctl to it.",
            words,
        )
    return (
        CommandFailed(_not_allowed(machine.endpoint, words), output.status, words)
        if by_sudo
        else None
    )


def _not_allowed(endpoint: Endpoint, words: str) -> str:
    said = next((line.strip() for line in words.splitlines()[::-1] if line.strip()), "")
    user = _user(endpoint)
    quoted = f': sudo says "{printable(said, 200)}"' if said else ""
    remedy = f"`{user} ALL=(root) NOPASSWD: /usr/sbin/smartctl`"
    if "tty" in said:
        remedy += f" and `Defaults:{user} !requiretty`"
    return (
        f"{endpoint.name} does not let the panel's user run smartctl{quoted}. There, as root, put "
        f"{remedy} into /etc/sudoers.d/labpanel; then `sudo -n smartctl --scan` works."
    )


def _user(endpoint: Endpoint) -> str:
    """Who asks there, for the line that the owner puts into a file."""
    if not endpoint.is_local:
        return endpoint.target.rpartition("@")[0] or "USER"
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user without a name
        return f"#{os.geteuid()}"


def _failed(machine: Machine, output: Output) -> CommandFailed:
    text = (output.stderr or output.stdout).decode("utf-8", "replace").strip()
    last = printable(text.splitlines()[-1], 200) if text else "it said nothing"
    return CommandFailed(
        f"`smartctl --scan` on {machine.endpoint.name} lists no drives and ended with status "
        f"{output.status}: {last}",
        output.status,
        text,
    )
