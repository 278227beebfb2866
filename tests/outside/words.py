"""Words as a hostile host, store or browser would choose them, and what must be true afterwards."""

import unicodedata
from html.parser import HTMLParser

# Each that some place could obey: a terminal, a log, a page, a template, a format, a shell.
HOSTILE = {
    "terminal": "\x1b]0;title\x07\x1b[2J\x1b[31mred",
    "c1": "\x9b31m\x9d0;title\x9c\x85",
    "direction": "\u202egpj.exe\u2066x\u2069\u200f",
    "lines": "one\n2026-11-27 08:00:00 web   | 2026-11-27 ERROR root: forged\r\u2028\u2029two",
    "invisible": "a\x00b\x7fc\u200bd\ufeffe\U000e0041f\ue000g",
    "markup": "</p></title><x-hostile onhostile=1></x-hostile><!--",
    "quotes": "'\"><x-hostile onhostile=2 x='",
    "entity": "&lt;x-hostile&gt;&#x202e;",
    "template": "{{ 7|add:7 }}{% debug %}{# x #}",
    "format": "{0.__class__}%s%n%(x)s{}",
    "shell": "$(touch x)`touch y`;touch z|& ../../.. -rf",
    "marks": "e" + "\u0301" * 40,
}
ALL = " ".join(HOSTILE.values())
FLOOD = "x\x1b" * 15_000


def raw(text: str, layout: str = "") -> list[str]:
    """The characters of `text` that must not be there; those of `layout` may."""
    harmful = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return sorted(
        {
            hex(ord(character))
            for character in set(text) - set(layout) - set("\u200c\u200d")
            if unicodedata.category(character) in harmful
        }
    )


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.planted: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [tag, *(name for name, _ in attrs)]
        self.planted += [name for name in names if "hostile" in name or name.startswith("on")]

    def handle_comment(self, data: str) -> None:
        self.planted += ["comment"] if "hostile" in data else []


def planted(page: str) -> list[str]:
    """Elements and attributes of `page` that hostile words made, read as a browser would."""
    reader = _Page()
    reader.feed(page)
    reader.close()
    return reader.planted
