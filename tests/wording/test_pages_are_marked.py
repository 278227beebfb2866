"""Every text of a page stands in `translate` or `blocktranslate`, and so in the catalog."""

import re
from pathlib import Path

import pytest

from tests.wording.sentences import ROOT

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))

# What is no text of the page, or is marked.
_MARKED = re.compile(
    r"\{% blocktranslate.*?%\}.*?\{% endblocktranslate %\}"
    r"|\{% comment %\}.*?\{% endcomment %\}"
    r"|\{% block topics %\}.*?\{% endblock %\}"
    r"|<code[^>]*>.*?</code>",  # what is typed
    re.DOTALL,
)
_SPOKEN = re.compile(r'\b(?:aria-label|title|alt|data-label)="([^"{]*)')
_TAGS = re.compile(r"\{%.*?%\}|\{\{.*?\}\}")
_WORD = re.compile(r"(?<!&)\b[A-Za-z]{2,}")


def unmarked(source: str) -> list[str]:
    """Texts between tags, and of attributes that are read out, which no mark holds."""
    bare = _TAGS.sub("", _MARKED.sub("", source))
    between = re.sub(r"<[^>]*>", "\n", bare).replace("labpanel", "").splitlines()
    return [text.strip() for text in [*between, *_SPOKEN.findall(bare)] if _WORD.search(text)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_text_is_marked(path: Path) -> None:
    assert unmarked(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Nothing yet.</p>",
        '<nav aria-label="Pages"></nav>',
        '{% if x %}<b>{% translate "good" %}</b> copies{% endif %}',
    ],
)
def test_what_is_not_marked_is_found(source: str) -> None:
    assert len(unmarked(source)) == 1
