"""Template tags: numbers, times and marks, the same on every page."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from backups.rules.coverage import coverage
from backups.rules.coverage.coverage import spelled
from backups.rules.coverage.days import DAMAGED, FAILED, MISSED, QUIET, WORKED, Day
from backups.selectors.copies.time_line import WAYS
from hosts.models import Finding
from hosts.selectors.findings import acts
from labpanel.home.state import Headline
from labpanel.lib import durations, units
from labpanel.lib.page_words import page_words

register = template.Library()


def _known(say: Callable[[float | None], str]) -> Callable[[object], str]:
    """Django hands "" to a filter for a value that is not there."""

    def filtered(value: object) -> str:
        return say(value if isinstance(value, int | float) else None)

    return filtered


for _name, _say in (
    ("size", units.size),
    ("rate", units.rate),
    ("percent", units.percent),
    ("number", units.number),
    ("milliseconds", units.milliseconds),
):
    register.filter(_name, _known(_say))
register.filter("span", durations.span)
register.filter("page_words", page_words)
register.filter("acts_of", acts)


@register.filter
def at_least_a_second(seconds: float) -> float:
    """Nothing comes back in no time, however small it is."""
    return max(1.0, seconds)


@register.filter
def days(number: float) -> str:
    """A number of days as a length of time: "12 d", "3 years"."""
    return durations.span(number * durations.DAY) if number != float("inf") else "never"


# Every state has a word and a shape; colour only repeats it. What is not listed is unknown.
LEVELS = {
    **coverage.LEVELS,
    "good": "good", "done": "good", "complete": "good", "up": "good",
    "watch": "watch", "cancelled": "none", "paused": "watch", "waiting": "none",
    "bad": "bad", "damaged": "bad", "missing": "bad",
    "failed": "bad", "errored": "bad", "lost": "bad", "crashed": "bad",
    "running": "busy",
    "unknown": "none", "excluded": "none",
}  # fmt: skip


@register.simple_tag
def mark(level: str, word: str = "") -> SafeString:
    """A state: its shape and colour by `level` (or by a known word), and its word."""
    return format_html('<span class="mark {}">{}</span>', LEVELS.get(level, "none"), word or level)


_TIMES = {
    "ago": durations.ago,
    "span": durations.between,
    "clock": durations.clock,
    "coming": durations.coming,
}


@register.simple_tag
def when(then: datetime | None, form: str = "ago") -> SafeString:
    """A moment, relative ("ago", "span", for one to come "coming") or as a clock shows it
    ("clock"); exact on hover."""
    if then is None:
        return SafeString("never")
    now = timezone.localtime()
    then = then.astimezone(now.tzinfo)
    text = _TIMES[form](then, now)
    # A list shows hundreds: joined, as all of it is the panel's own words and figures.
    return SafeString(
        f'<time datetime="{then.isoformat(timespec="seconds")}" title="{durations.exact(then)}"'
        f' data-form="{form}">{text}</time>'
    )


@register.simple_tag
def part_of(part: object, whole: float | None) -> str:
    """ "1.2 of 2 GiB"; the whole alone where the part is not known."""
    return units.size_of(part if isinstance(part, int | float) else None, whole)


@register.simple_tag
def amount(number: int, one: str, many: str = "") -> str:
    return units.count(number, one, many)


@register.filter
def listed(names: Iterable[object]) -> str:
    """ "home, store and web"."""
    return units.listed([str(name) for name in names])


@register.simple_tag
def bar(part: float | None, whole: float | None, label: str, watch_at: int = 85) -> SafeString:
    """How full something is; amber from `watch_at` percent, red from 95."""
    full = units.share(part, whole)
    level = "" if full is None or full < watch_at else "bad" if full >= 95 else "watch"
    shown = None if full is None else min(100, round(full))
    return format_html(
        '<svg class="bar {}" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" '
        'aria-label="{}{}"><rect class="track" width="100" height="8"></rect>{}</svg>',
        level,
        label,
        "" if shown is None else f": {shown} % full",
        "" if shown is None else format_html(_FILL, shown),
    )


_FILL = '<rect class="fill" width="{}" height="8"></rect>'


@register.simple_tag
def spark(path: str, label: str) -> SafeString:
    """The small graph of the last hour; `path` is from labpanel.lib.sparkline."""
    return format_html(
        '<svg class="spark" viewBox="0 0 112 28" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><path class="floor" d="M0 27.5H112"></path>{}</svg>',
        label,
        format_html('<path d="{}"></path>', path) if path else "",
    )


# The bar of a day: its shape, drawn from the left edge of its place.
_BARS = {
    WORKED: "v20h8v-20z",
    DAMAGED: "h8v20h-8zm2.5 2.5v15h3v-15z",
    FAILED: "m0 11h8v9h-8z",
    MISSED: "m0 11h8v9h-8zm2.5 2.5v4h3v-4z",
    QUIET: "m0 17h8v3h-8z",
}


@register.simple_tag
def strip(days: Sequence[Day], label: str) -> SafeString:
    """One bar a day, its height and colour by what became of that day; a path for each colour."""
    paths = dict.fromkeys(_BARS, "")
    for place, day in enumerate(days):
        if day.state in _BARS:
            paths[day.state] += f"M{place * 10} 0{_BARS[day.state]}"
    drawn = [(state, path) for state, path in paths.items() if path]
    return format_html(
        '<svg class="strip" viewBox="0 0 {} 20" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>',
        10 * len(days) - 2,
        label,
        format_html_join("", '<path class="{}" d="{}"></path>', drawn),
    )


@register.simple_tag
def took(begun: datetime, ended: datetime) -> str:
    """How long it took: "4 min"."""
    return durations.between(begun, ended)


@register.filter
def moment(text: str) -> SafeString | str:
    """A time of a JSON value; what is not a time is shown as it is."""
    try:
        then = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return text
    return when(then if then.tzinfo else then.replace(tzinfo=UTC), "clock")


@register.filter
def version(number: int | None) -> str:
    """libvirt's way of writing a version in one number (1 000 000 × major + 1 000 × minor)."""
    if not number:
        return units.NOTHING
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


_DAY_WORDS = {
    "failed": "failed",
    "missed": "was due and did not run",
    "damaged": "its copy is damaged",
}


@register.filter
def day_words(state: str) -> str:
    """What became of one day of the strip."""
    return _DAY_WORDS.get(state, state)


@register.filter
def way_words(mode: str) -> str:
    """How a disk was saved, in plain words."""
    return WAYS.get(mode, mode)


register.filter("places", spelled)

_VERDICT_WORDS = {
    "none": "no copy",
    "broken": "broken copy",
    "local only": "no copy elsewhere",
    "stale": "old copy",
    "unverified": "not read back",
    "unrehearsed": "not booted",
    "excluded": "left out on purpose",
}


@register.filter
def verdict_words(verdict: str) -> str:
    """A coverage verdict in plain words."""
    return _VERDICT_WORDS.get(verdict, verdict)


@register.filter
def minus(whole: float | None, part: float | None) -> float | None:
    """None where either is not known."""
    return None if whole is None or part is None else whole - part


_LEVEL_WORDS = {"good": "well", "watch": "to be watched", "bad": "in trouble"}


@register.filter
def level_words(level: str) -> str:
    """The state of a drive or a file system in plain words."""
    return _LEVEL_WORDS.get(level, "unknown")


@register.filter
def coded(text: str, names: Iterable[str] = ()) -> SafeString:
    """Sentences of ours in which `commands` stand between back-ticks. What is in `names` comes from
    outside and is shown as it is: a VM may be called `rm`."""
    marks = {f"\ue000{place}\ue001": name for place, name in enumerate(sorted(names, key=len))}
    shown = str(text)
    for mark, name in reversed(marks.items()):  # the longest first: one may be part of another
        if "`" in name:
            shown = shown.replace(name, mark)
    parts = shown.split("`")
    if len(parts) % 2 == 0:
        parts = [shown]
    pieces = (
        (("<code>{}</code>" if place % 2 else "{}"), part) for place, part in enumerate(parts)
    )
    html = "".join(format_html(shape, part) for shape, part in pieces)
    for mark, name in marks.items():
        html = html.replace(mark, format_html("{}", name))
    return SafeString(html)


@register.filter
def advised(finding: Finding) -> SafeString:
    """A finding's advice."""
    return coded(finding.advice, _names_of(finding))


@register.filter
def explained(headline: Headline) -> SafeString:
    """What stands below the headline."""
    names = _names_of(headline.finding) if isinstance(headline.finding, Finding) else []
    return coded(headline.text, [*names, *headline.vms])


def _names_of(finding: Finding) -> list[str]:
    return [finding.subject, *(vm.name for vm in finding.vms.all())]
