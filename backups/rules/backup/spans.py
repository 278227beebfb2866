"""Stretches of a disk as [first byte, byte after the last]. Pure.

A list of them is sorted and apart once it went through `joined`; every function here returns such.
"""

from collections.abc import Iterable, Sequence

Spans = list[list[int]]


def joined(spans: Iterable[Sequence[int]]) -> Spans:
    """Any spans, sorted and joined where they meet or overlap."""
    found: Spans = []
    for first, after in sorted((span[0], span[1]) for span in spans):
        if found and first <= found[-1][1]:
            found[-1][1] = max(found[-1][1], after)
        elif first < after:
            found.append([first, after])
    return found


def common(one: Spans, other: Spans) -> Spans:
    """What lies in both."""
    return joined(
        (max(a[0], b[0]), min(a[1], b[1]))
        for a in one
        for b in other
        if max(a[0], b[0]) < min(a[1], b[1])
    )


def without(one: Spans, other: Spans) -> Spans:
    """What lies in `one` and not in `other`."""
    found: Spans = []
    for first, after in joined(one):
        at = first
        for start, end in common([[first, after]], other):
            if at < start:
                found.append([at, start])
            at = end
        if at < after:
            found.append([at, after])
    return found


def ranges(spans: Iterable[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    """The same as a manifest has them."""
    return tuple((first, after) for first, after in spans)


def lists(spans: Iterable[Sequence[int]]) -> Spans:
    """The same as rows have them."""
    return [list(each) for each in spans]
