"""`python -m labpanel.supervise up|down`; `./panel` calls it."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from labpanel import env
from labpanel.lib import instance
from labpanel.supervise import (
    detach,
    listen,
    logs,
    orphans,
    prepare,
    private,
    run,
    runtime,
    services,
)
from labpanel.supervise.claim import Claim
from labpanel.supervise.down import down

START_EMPTY = "LABPANEL_START_EMPTY"
REFUSALS = (
    ImproperlyConfigured,
    listen.BadListen,
    prepare.NotReady,
    private.NotPrivate,
    services.NoRedis,
)
LOCAL_LIBVIRT = Path("/run/libvirt/libvirt-sock")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./panel")
    parser.add_argument("verb", choices=["up", "down"])
    parser.add_argument("--detach", action="store_true", help="return once the panel answers")
    parser.add_argument(
        "--start-empty",
        action="store_true",
        help="begin anew although the database is damaged or gone; what is there is kept aside",
    )
    parser.add_argument("--announce", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.umask(private.UMASK)
    try:
        return do(options)
    except REFUSALS as error:
        print(error, file=sys.stderr)
        return 1


def do(options: argparse.Namespace) -> int:
    claim = Claim(env.home())
    if options.verb == "down":
        claim.home.mkdir(parents=True, exist_ok=True)
        return down(claim, env.runtime())
    private.check(claim.home)
    env.tempo()
    if options.start_empty:
        os.environ[START_EMPTY] = "1"
    if options.detach:
        return detach.start_detached(claim.home)
    return up(claim, quiet=options.announce)


def up(claim: Claim, *, quiet: bool) -> int:
    """Hold this home's panel until told to stop."""
    if not claim.take():
        holder = claim.holder()
        print(
            f"The panel is already running: {holder.url if holder else claim.home}.",
            file=sys.stderr,
        )
        return 1
    where = listen.settle(listen.parse(env.text("LABPANEL_LISTEN")))
    runtime.clear(env.runtime())  # what a killed panel left
    sockets = env.runtime()
    token = instance.new_token()
    environment(where, token)
    log = logs.to_file(claim.home / "log", echo=not quiet)
    prepare.prepare(env.REPOSITORY)
    os.environ.pop(START_EMPTY, None)  # said for this start alone
    orphans.adopt()
    table = services.table(sockets, where)
    claim.write(where.public)

    def on_ready() -> None:
        announce(where, quiet=quiet)

    try:
        status = asyncio.run(run.supervise(table, run.WebAddress(where, token), on_ready))
    finally:
        runtime.close_masters(sockets)
        orphans.end_all()
        claim.clear()
        runtime.clear(sockets)
    if status and quiet:
        print(detach.tail(log), file=sys.stderr)
    return status


def environment(where: listen.Listen, token: str) -> None:
    """What every process of the panel shares."""
    os.environ[instance.VARIABLE] = token
    os.environ["LABPANEL_HOME"] = str(env.home())
    os.environ["LABPANEL_LISTEN"] = f"{where.address}:{where.port}"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labpanel.settings")
    # Threads share two arenas instead of eight per core: about a third less memory (mallopt(3)).
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.chdir(env.REPOSITORY)


def announce(where: listen.Listen, *, quiet: bool) -> None:
    """Say where the panel is and how to sign in for the first time."""
    if LOCAL_LIBVIRT.exists() and env.flag("LABPANEL_ADD_LOCAL", default=True):
        status, output = prepare.manage(env.REPOSITORY, "panel", "host", "add-local", deadline=90)
        if status:
            print(output, file=sys.stderr)
    url = env.text("LABPANEL_URL") or where.public
    print(f"The panel is at {url}")
    # Status 1: the first account exists, there is nothing to say.
    status, output = prepare.manage(env.REPOSITORY, "panel", "first-link", deadline=60)
    if status != 1:
        print(output, file=sys.stderr if status else sys.stdout)
    if quiet:
        detach.close_standard_output()
    else:
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
