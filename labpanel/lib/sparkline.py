"""The small graph beside a name: the last hour, as one SVG path. Standard library only."""

import math

from labpanel.lib.packed import unpack


def sparkline(recent: bytes, width: int = 112, height: int = 28, least: float = 10.0) -> str:
    """The `d` of a path over `recent` (a Subject's); "" when there is nothing to draw.

    Zero is at the bottom; the highest value, or `least` where all are smaller, is at the top: an
    idle VM's noise stays flat. Gaps are gaps: each stretch begins with a new M. A stretch of one
    point gets a short dash, since a path of one point draws nothing.
    """
    values = unpack(recent)
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return ""
    top = max(*known, least)
    across = width / max(1, len(values) - 1)
    steps: list[str] = []
    fresh = True
    for place, value in enumerate(values):
        if math.isnan(value):
            fresh = True
            continue
        x, y = place * across, 1 + (height - 2) * (1 - max(0.0, value) / top)
        alone = fresh and (place + 1 == len(values) or math.isnan(values[place + 1]))
        steps.append(f"{'M' if fresh else 'L'}{x:.1f} {y:.1f}" + ("h1" if alone else ""))
        fresh = False
    return "".join(steps)
