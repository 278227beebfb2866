"""`python -m labpanel.door --host ADDRESS --port PORT`: the web process."""

import argparse
import functools
import resource
import sys
from typing import Any

import uvicorn
from django.core.exceptions import ImproperlyConfigured

from labpanel import env
from labpanel.adapters.here import port_user
from labpanel.door import limits
from labpanel.door.connections import Connections
from labpanel.door.protocol import DoorProtocol

# An open event stream has no end: without the limit uvicorn waits for it when it is to stop.
STOP_SECONDS = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="labpanel.door")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--log-level", default="info")
    options = parser.parse_args()
    try:
        config = configured(options, may_open())
    except (limits.TooFewFiles, ImproperlyConfigured) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    server = uvicorn.Server(config)
    try:
        server.run()
    except SystemExit:
        if server.started:
            raise
    if not server.started and (used := port_user.used_by(options.host, options.port)):
        print(f"The web process cannot listen: {used}.", file=sys.stderr)  # noqa: T201
    return 0 if server.started else 3  # 3 is uvicorn's own word for "did not start"


def may_open() -> int:
    """How many files this process may open, after asking for as many as it may ask for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def configured(options: argparse.Namespace, open_files: int) -> uvicorn.Config:
    """Raises TooFewFiles, and ImproperlyConfigured for a proxy that is none."""
    protocol: Any = functools.partial(
        DoorProtocol,
        open_connections=Connections(limits.room(open_files)),
        proxies=env.networks("LABPANEL_TRUSTED_PROXIES"),
    )
    return uvicorn.Config(
        "labpanel.asgi:application",
        host=options.host,
        port=options.port,
        log_level=options.log_level,
        http=protocol,
        ws="none",
        lifespan="off",
        backlog=limits.BACKLOG,
        timeout_keep_alive=int(limits.IDLE_SECONDS),
        timeout_graceful_shutdown=STOP_SECONDS,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # labpanel.door.guard reads them
    )


if __name__ == "__main__":
    sys.exit(main())
