"""`python -m labpanel.supervise.container NAME`: the health check of one of the panel's containers.

An engine starts a container again that ends, not one that is unhealthy: what gave a sign of life
once and gives none for long is ended here, with everything else in its container.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

from labpanel.supervise import health, signs

WEB = "http://127.0.0.1:8000"
SILENT_SECONDS = {"web": 60.0, "redis": 60.0, "quick": 90.0, "long": 90.0, "beat": 90.0}


def check(name: str, end: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> bool:
    """Whether the container's process is well; `end` is called where it hangs."""
    well = _well(name)
    heard, silent = signs.heard(name), SILENT_SECONDS[name]
    if heard is None or clock() - heard <= silent:
        return well
    if name in {"web", "redis"} or _broker_was_there(clock() - silent):
        end()
    return False


def _well(name: str) -> bool:
    """Web and redis are asked, and what they answer is stamped; the others stamp themselves."""
    if name == "redis":
        answered = well = health.pongs("redis://127.0.0.1:6379")
    elif name == "web":
        said = health.says(WEB)
        answered, well = said is not None, said is not None and health.is_well(said)
    else:
        _stamp_broker()
        return signs.heard(name) is not None
    if answered:
        signs.mark(name)
    return well


def _stamp_broker() -> None:
    """Since when redis answers: a worker without its broker can give no sign."""
    if not health.pongs(os.environ.get("REDIS_URL", "")):
        signs.make("broker")
    elif signs.heard("broker") is None:
        signs.mark("broker")


def _broker_was_there(since: float) -> bool:
    at = signs.heard("broker")
    return at is not None and at <= since


def end_all() -> None:
    """Every process of this container but its init, which then ends as well (kill(2))."""
    os.kill(-1, signal.SIGKILL)


def main() -> int:
    name = sys.argv[1]
    if name not in SILENT_SECONDS:
        print(f"There is no container {name!r}; there are {', '.join(SILENT_SECONDS)}.")
        return 2
    # Outside a container this would end every process of the user.
    end = end_all if os.environ.get("LABPANEL_IN_CONTAINER") == "1" else _say_hung
    return 0 if check(name, end) else 1


def _say_hung() -> None:
    print("It hangs.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
