"""`./panel incidents`: what is wrong, with its evidence."""

import argparse

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from hosts.selectors.findings import IncidentRow, incident_list
from hosts.selectors.naming import find_host
from labpanel.cli.output import print_json, say

HELP = "say what is wrong, since when, and what to do"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="only those of one host")
    parser.add_argument("--past", action="store_true", help="also those that are over")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    host = find_host(options.host) if options.host else None
    rows = incident_list(past=options.past, host=host)
    if options.json:
        print_json([row.as_json() for row in rows])
        return 0
    for row in rows:
        _tell(row)
    if not rows:
        say("Nothing is known to be wrong.")
    return 0


def _tell(row: IncidentRow) -> None:
    over = f" (over since {_clock(row.resolved_at)})" if row.resolved_at else ""
    say(f"{row.severity.upper()}  {row.title}{over}")
    if row.affected:
        say(f"  touches {', '.join(each['vm'] for each in row.affected)}")
    for item in row.evidence:
        since = f", since {_clock(item['since'])}" if item.get("since") else ""
        say(f"  {item['what']}: {item['value']} ({item['source']}{since})")
    if row.advice and not row.resolved_at:
        say(f"  {row.advice}")


def _clock(text: str) -> str:
    at = parse_datetime(text)
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}" if at else text
