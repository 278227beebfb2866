"""What a host lacks, as a terminal says it."""

from hosts.selectors.lists import HostRow
from labpanel.verbs.output import say


def print_missing(row: HostRow) -> None:
    for lack in row.missing:
        say(f"Missing on {row.name}: {lack['what']} ({lack['why']}). Run there: {lack['command']}")
