"""A stand-in `smartctl` on each host, and the recordings that it answers with.

Loop devices have no SMART, so each host pretends to have one drive, /dev/sda.
Its recordings are the lab's own; `swap` puts others in their place.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lab import smart_sample
from lab.commands import LabError

if TYPE_CHECKING:
    from lab.layout import Host

DRIVE = "sda"


def folder(host: Host) -> Path:
    """Folder with `<device>.txt` and `<device>.json`, read anew at each call."""
    return host.state_dir / "smart"


def serial(host: Host) -> str:
    """Serial number of the host's pretend drive."""
    return f"LP-{host.lab}-{host.name}".upper()


def _put(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` in one step: a reader sees the old or the new."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def install(host: Host) -> None:
    """Put the stand-in and the healthy drive's recordings in place."""
    script = host.state_dir / "bin/smartctl.py"
    shutil.copyfile(Path(__file__).with_name("smartctl_standin.py"), script)
    wrapper = host.state_dir / "bin/smartctl"
    line = f'exec /usr/bin/python3 -I {script} {folder(host)} "$@"'
    _put(wrapper, f"#!/bin/sh\n{line}\n".encode())
    wrapper.chmod(0o755)
    if not any(folder(host).glob("*.txt")):
        reset(host)


def reset(host: Host) -> None:
    """Make the host's only drive the healthy one again."""
    for path in folder(host).iterdir():
        path.unlink()
    drive = smart_sample.SampleDrive(name=f"/dev/{DRIVE}", serial=serial(host))
    _put(folder(host) / f"{DRIVE}.txt", smart_sample.text(drive).encode())
    _put(folder(host) / f"{DRIVE}.json", smart_sample.as_json(drive).encode())


def swap(host: Host, text: Path | None, json: Path | None, device: str = DRIVE) -> None:
    """Answer with other recordings for ``device`` from now on.

    A form that is not given is removed rather than left to contradict the new
    one; `smartctl` then says that the drive can't be opened in that form.
    """
    if text is None and json is None:
        raise LabError("Say which recordings to use: --text FILE, --json FILE or both.")
    for source, suffix in ((text, "txt"), (json, "json")):
        target = folder(host) / f"{Path(device).name}.{suffix}"
        if source is None:
            target.unlink(missing_ok=True)
            continue
        try:
            _put(target, source.read_bytes())
        except OSError as error:
            raise LabError(f"The recording {source} can't be read: {error.strerror}.") from error
