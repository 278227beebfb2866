"""Which generation's image backs on which, disk by disk, within one store. Pure."""

from collections.abc import Mapping, Sequence

from backups.rules.backup.spans import Spans, common, without


class Lineage:
    """One disk's generations in one store: each key with its parent's ("" if it stands alone)."""

    def __init__(self, parents: Mapping[str, str]) -> None:
        self._parents = parents

    def chain(self, key: str) -> list[str]:
        """`key` and all that its image backs on, newest first. A ring ends where it closes."""
        found: list[str] = []
        while key in self._parents and key not in found:
            found.append(key)
            key = self._parents[key]
        return found

    def parents(self, key: str) -> dict[str, str | None]:
        """Each generation of its chain with its parent, None at the end."""
        return {one: self._parents[one] or None for one in self.chain(key)}

    def built_on(self, key: str) -> list[str]:
        """All whose image backs on that of `key`, at whatever distance, parents first."""
        above = [(self.chain(other), other) for other in self._parents if other != key]
        found = [(len(chain), other) for chain, other in above if key in chain]
        return [other for _, other in sorted(found)]


def holders(chain: Sequence[str], bad: Mapping[str, Spans]) -> list[tuple[str, Spans]]:
    """In whose files the rot lies that the newest of `chain` (newest first) shows: for each span
    the oldest generation of the unbroken line that shows it, since what a later one rewrote does
    not shine through. `bad` has what each generation's own view shows."""
    found, left = [], bad.get(chain[0], [])
    for older, key in zip([*chain[1:], ""], chain, strict=True):
        deeper = common(left, bad.get(older, []))
        own = without(left, deeper)
        if own:
            found.append((key, own))
        left = deeper
    return found
