"""Finding the thing that a user meant by a name, a UUID or the beginning of either."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from labpanel.lib.refusal import Refusal

Thing = TypeVar("Thing")
_NEAREST = 3
_MIN_PREFIX = 2


def pick(
    word: str,
    what: str,
    things: Iterable[Thing],
    names: Callable[[Thing], Sequence[str]],
    label: Callable[[Thing], str],
) -> Thing:
    """The one thing that `word` means: exactly one of its `names`, else the unique beginning of
    one. Raises Refusal: 404 with the nearest names, 409 with the choices (each by its `label`).
    """
    known = list(things)
    exact = [thing for thing in known if word in names(thing)]
    found = exact or [thing for thing in known if _begins(word, names(thing))]
    if len(found) == 1:
        return found[0]
    if found:
        choices = ", ".join(sorted(map(label, found)))
        raise Refusal(f"{word!r} can be more than one {what}: {choices}.", 409)
    raise Refusal(_unknown(word, what, [names(thing)[0] for thing in known]), 404)


def _begins(word: str, names: Sequence[str]) -> bool:
    folded = word.casefold()
    return len(word) >= _MIN_PREFIX and any(name.casefold().startswith(folded) for name in names)


def _unknown(word: str, what: str, names: Sequence[str]) -> str:
    if not names:
        return f"There is no {what} {word!r}: there is none yet."
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold(), folded, n=_NEAREST, cutoff=0.5)
    if near:
        return f"There is no {what} {word!r}. Did you mean {' or '.join(folded[n] for n in near)}?"
    return f"There is no {what} {word!r}. Known: {', '.join(sorted(names)[:10])}."
