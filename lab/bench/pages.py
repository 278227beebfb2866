"""Server time of every page at 5 hosts, 30 VMs and a year of samples; bytes for a stored value.

A page is asked for through the panel's own ASGI application, signed in, and timed from the request
to the last byte. Its queries are counted in a pass of their own. The CPU's time is printed beside
the clock's: where they differ the machine was busy with something else.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from backups.models import Generation, Policy, Rehearsal
from hosts.models import TIERS, VM, Host
from lab.bench import history, made_up_lab
from labpanel.jobs.models import Job
from labpanel.lib.series import RANGES
from labpanel.verbs.output import print_table, say

BAR_MS, BAR_BYTES = 50.0, 12.0
WARM = 3
# No pages: one never ends, one signs out, one asks the broker. And the plan of a move is what both
# hosts answer at that moment; these hosts are made up.
LEFT_OUT = {"events", "sign-out", "healthz", "vm-move"}


@dataclass(frozen=True, slots=True)
class Timed:
    address: str
    wall: list[float]
    cpu: list[float]
    bytes: int


def at(percent: int, milliseconds: list[float]) -> float:
    return statistics.quantiles(milliseconds, n=100, method="inclusive")[percent - 1]


def run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    say("Making five hosts, thirty VMs and a year of samples …")
    made_up_lab.make()
    values = history.fill(int(time.time()))
    say(f"{values:,} values in {time.monotonic() - began:.0f} s.")
    small = print_bytes(values)
    user = User.objects.create_superuser("bench", password=None)
    client = Client(raise_request_exception=False)
    client.force_login(user)
    queries = {address: _queries(client, address) for address in addresses()}
    pages = [address for address, count in queries.items() if count is not None]
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    timed = asyncio.run(_time_all(pages, cookie, max(2, options.rounds)))
    fast = print_pages(timed, queries)
    return 0 if small and fast else 1


def print_bytes(values: int) -> bool:
    """What the samples take in the database file, from SQLite's own page statistics."""
    tables = [tier._meta.db_table for tier in TIERS]
    marks = ", ".join(["%s"] * len(tables))
    # with their indexes, if they have any
    own = f"SELECT name FROM sqlite_master WHERE tbl_name IN ({marks})"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({own})", tables)  # noqa: S608
        size = int(cursor.fetchone()[0])
    each = size / values
    say(f"{each:.2f} bytes on disk for each stored value (bar {BAR_BYTES:g}); {size >> 20} MiB.")
    return each <= BAR_BYTES


def print_pages(timed: list[Timed], queries: dict[str, int | None]) -> bool:
    rows = [
        (
            page.address,
            queries[page.address],
            f"{at(50, page.wall):.1f}",
            f"{at(95, page.wall):.1f}",
            f"{at(95, page.cpu):.1f}",
            f"{page.bytes / 1024:.0f}",
            "" if at(95, page.wall) <= BAR_MS else "over the bar",
        )
        for page in timed
    ]
    print_table(("page", "queries", "p50 ms", "p95 ms", "p95 cpu", "KiB", f"bar {BAR_MS:g}"), rows)
    over = [page.address for page in timed if at(95, page.wall) > BAR_MS]
    busy = sum(at(95, page.cpu) > BAR_MS for page in timed)
    say(
        f"{len(timed)} pages: {len(over)} over the bar of {BAR_MS:g} ms at p95 by the clock, "
        f"{busy} by the CPU they took."
    )
    return not over


def addresses() -> list[str]:
    """Every address that can be asked for by name, and graphs in every range.

    Things that vary are the largest there are: the VM with four disks, a host with six VMs.
    """
    vm, host = VM.objects.get(name="vm 0 <b>"), Host.objects.get(name="host0")
    known: dict[str, Any] = {
        "uuid": vm.uuid,
        "name": host.name,
        "store": made_up_lab.STORE,
        "key": Generation.objects.filter(vm=vm).first(),
    }
    # a number alone does not say whose it is: the name of the address does, before its first dash
    numbers: dict[str, int] = {
        "job": Job.objects.latest("pk").pk,
        "policy": Policy.objects.latest("pk").pk,
        "rehearsal": Rehearsal.objects.latest("pk").pk,
    }
    found: dict[str, None] = {}
    for pattern in _patterns(get_resolver()):
        wanted = list(pattern.pattern.converters)
        if not pattern.name or pattern.name in LEFT_OUT:
            continue
        its = {**known, "pk": numbers.get(pattern.name.partition("-")[0])}
        if set(wanted) <= set(its):
            try:
                found[reverse(pattern.name, kwargs={name: its[name] for name in wanted})] = None
            except NoReverseMatch:
                continue  # its name stands in another part of the address: never reached by a link
    series = [address for address in found if address.endswith("series.json")]
    graphs = [f"{address}?range={span}" for address in series for span in RANGES]
    return sorted({*found, *graphs} - {*series})


def _patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from _patterns(entry)
        else:
            yield entry


def _queries(client: Client, address: str) -> int | None:
    """How many queries a page makes; None for what is not a page (a redirect, a POST address). A
    page that breaks ends the measurement."""
    with CaptureQueriesContext(connection) as captured:
        response = client.get(address, headers={"accept-encoding": "gzip"})
    if response.status_code >= 500:
        raise RuntimeError(f"{address} answers {response.status_code}: nothing to be measured")
    return len(captured) if response.status_code == 200 else None


async def _time_all(pages: list[str], cookie: str, rounds: int) -> list[Timed]:
    from labpanel.asgi import application

    timed = {page: Timed(page, [], [], 0) for page in pages}
    # Round by round, so that a moment in which the machine was busy is shared by all.
    for number in range(WARM + rounds):
        for page in pages:
            wall, cpu, size = await _ask(application, page, cookie)
            before = timed[page]
            if number >= WARM:
                timed[page] = Timed(page, [*before.wall, wall], [*before.cpu, cpu], size)
    return list(timed.values())


async def _ask(application: Any, address: str, cookie: str) -> tuple[float, float, int]:
    """Milliseconds by the clock and of this process's CPU, and the answer's size."""
    path, _, query = address.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [
            (b"host", b"localhost"),
            (b"accept-encoding", b"gzip"),
            (b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    size = 0
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if requests:
            return requests.pop()
        await asyncio.sleep(3600)  # no client hangs up
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal size
        size += len(message.get("body", b""))

    clock, cpu = time.perf_counter(), time.process_time()
    await application(scope, receive, send)
    return (time.perf_counter() - clock) * 1000, (time.process_time() - cpu) * 1000, size
