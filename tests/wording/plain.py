"""Words that no text of labpanel uses: see docs/style.md. Run by `./panel check`.

They hide who does what ("somebody", "by itself"), are a metaphor of this project, or translate an
idiom of another language.
"""

import re
import sys
from collections.abc import Iterator

from tests.wording.sentences import ROOT, product, sentences

REFUSED = (
    *("somebody", "nobody", "by itself", "by themselves", "whoever", "at work", "for good"),
    *("in vain", "half-done", "half done", "lets us", "minder", "goodbye", "hangs itself"),
    *("stood still", "it goes first", "no news", "door to", "doors to"),
)
# `nobody` in code marks is the user of that name.
_REFUSED = re.compile(r"(?<!`)\b(" + "|".join(REFUSED) + r")\b", re.IGNORECASE)
# It shows the words that are not used.
_QUOTES_THEM = {"docs/style.md"}


def texts() -> Iterator[tuple[str, str]]:
    """Each text with the file that holds it: pages, docs, the sentences of the Python files."""
    pages = (ROOT / "templates").rglob("*.html")
    docs = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for path in sorted([*pages, *docs]):
        name = str(path.relative_to(ROOT))
        if name not in _QUOTES_THEM:
            for line in path.read_text(encoding="utf-8").splitlines():
                yield name, line
    for path in product():
        for text in sentences(path.read_text(encoding="utf-8")):
            yield str(path.relative_to(ROOT)), text


def main() -> int:
    refused = [(name, text) for name, text in texts() if _REFUSED.search(text)]
    for name, text in refused:
        print(f"{name}: {text.strip()}")
    if refused:
        print(f"{len(refused)} texts use a word that docs/style.md refuses.")
    return bool(refused)


if __name__ == "__main__":
    sys.exit(main())
