"""The folder of sockets: emptied before a start and gone after a stop, even after a kill."""

import shutil
import subprocess
import sys
from pathlib import Path


def clear(runtime: Path) -> None:
    """End what still listens there, and remove the folder. Only for the holder of the claim."""
    close_masters(runtime)
    shutil.rmtree(runtime, ignore_errors=True)


def close_masters(runtime: Path) -> None:
    """End OpenSSH's control masters of this panel (sockets c-…); they outlive who started them."""
    for socket in runtime.glob("c-*"):
        try:
            subprocess.run(
                ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "panel"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=5,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"{socket} stays open: {error}", file=sys.stderr)
