"""Numbers as people read them: bytes in binary units, rates per second, percent.

For pages and the command line alike. Standard library only. None and NaN are "–": no value is
never shown as zero.
"""

import math

NOTHING = "–"
NARROW = "\N{NO-BREAK SPACE}"  # between a number and its unit: they stay on one line
_STEPS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def number(value: float | None, digits: int = 1) -> str:
    """Three figures that matter: 0.3, 4.2, 78, 1 204. Zero has no decimals."""
    if value is None or math.isnan(value) or math.isinf(value):
        return NOTHING
    if abs(value) >= 10 or round(value, digits) == round(value):
        return f"{value:,.0f}".replace(",", NARROW)
    return f"{value:.{digits}f}"


def _step(size: float) -> int:
    """The index of the unit in which `size` has one to four figures before the point."""
    step = 0
    while abs(size) >= 1024 and step < len(_STEPS) - 1:
        size /= 1024
        step += 1
    return step


def size(count: float | None) -> str:
    """Bytes: "38 GiB", "1.2 GiB", "512 KiB"."""
    if count is None or math.isnan(count):
        return NOTHING
    step = _step(count)
    return f"{number(count / 1024**step)}{NARROW}{_STEPS[step]}"


def size_of(part: float | None, whole: float | None) -> str:
    """A part of a whole in the whole's unit: "1.2 of 2 GiB"."""
    if whole is None or part is None or math.isnan(part):
        return size(whole)
    step = _step(whole)
    unit = 1024**step
    return f"{number(part / unit)} of {number(whole / unit)}{NARROW}{_STEPS[step]}"


def rate(per_second: float | None) -> str:
    """Bytes per second: "0.9 MiB/s"."""
    shown = size(per_second)
    return shown if shown == NOTHING else f"{shown}/s"


def percent(value: float | None) -> str:
    """0 to 100 (or more, on several CPUs) without decimals: "78 %"."""
    if value is None or math.isnan(value):
        return NOTHING
    return f"{value:.0f}{NARROW}%"


def milliseconds(value: float | None) -> str:
    """Time per request: "0.4 ms", "412 ms", "2.4 s"."""
    if value is None or math.isnan(value):
        return NOTHING
    if value >= 1000:
        return f"{number(value / 1000)}{NARROW}s"
    return f"{number(value)}{NARROW}ms"


def share(part: float | None, whole: float | None) -> float | None:
    """Percent of the whole, None where that cannot be said."""
    if part is None or not whole:
        return None
    return part * 100 / whole


def count(amount: int, one: str, many: str = "") -> str:
    """ "1 host", "2 hosts"."""
    return f"{amount} {one if amount == 1 else many or one + 's'}"


def listed(names: list[str]) -> str:
    """ "home", "home and store", "home, store and web"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
