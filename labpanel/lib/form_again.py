"""A page shown again after its form was refused: what was typed is still there, and why not.

Works on the page as it was rendered, so every form of the panel has it, whichever template it
comes from. Pure: text in, text out. Passwords and files are never put back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser

Attributes = list[tuple[str, str | None]]
_KEPT_OUT = {"hidden", "submit", "button", "reset", "image", "file", "password"}
_TICKED = {"checkbox", "radio"}
_TOKEN = "csrfmiddlewaretoken"  # noqa: S105 - the name of Django's field
_LOOKS = " data-look"
ID = "not-done"


@dataclass(slots=True)
class Tag:
    """A start tag of the page, and where it stands; `text` is what follows it up to the next."""

    name: str
    attributes: dict[str, str]
    start: int
    end: int
    inside: list[int]
    text: str = ""
    text_end: int = 0


@dataclass(frozen=True, slots=True)
class RefusedForm:
    """What was sent to `action`, and why nothing came of it. `link` leads on: address, words."""

    action: str
    posted: Mapping[str, Sequence[str]]
    sentence: str
    link: tuple[str, str] | None = None


def shown_again(page: str, at: str, refused: RefusedForm) -> str | None:
    """`page` (its address is `at`) with the form as it was sent; None if the form is not on it."""
    tags = _Reader(page).tags
    form = _form(tags, at, refused)
    if form is None:
        return None
    changes = [(form.end, form.end, _error(refused))]
    number = tags.index(form)
    for place in form.inside:
        outer = tags[place]
        if outer.name == "details" and "open" not in outer.attributes:
            changes.append((outer.end - 1, outer.end - 1, " open"))
    name = form.attributes.get("id")
    for tag in tags:
        if number in tag.inside or (name and tag.attributes.get("form") == name):
            changes += _change(tags, tag, refused.posted)
    for start, end, text in sorted(changes, reverse=True):
        page = page[:start] + text + page[end:]
    # Standing still: a live look would fetch the page anew, without what was typed.
    return page.replace(_LOOKS, "", 1)


def _form(tags: list[Tag], at: str, refused: RefusedForm) -> Tag | None:
    """Several rows of a page may send to one address: their hidden fields tell them apart."""
    found = [
        (number, tag)
        for number, tag in enumerate(tags)
        if tag.name == "form"
        and tag.attributes.get("method", "").lower() == "post"
        and refused.action in {tag.attributes.get("action") or at, *_by_buttons(tags, number)}
    ]
    fitting = [tag for number, tag in found if _fits(tags, number, refused.posted)]
    if fitting:
        return fitting[0]
    return found[0][1] if len(found) == 1 else None


def _by_buttons(tags: list[Tag], form: int) -> set[str]:
    """Where buttons send the form instead; they may stand elsewhere on the page."""
    name = tags[form].attributes.get("id")
    return {
        tag.attributes["formaction"]
        for tag in tags
        if "formaction" in tag.attributes
        and (form in tag.inside or (name and tag.attributes.get("form") == name))
    }


def _fits(tags: list[Tag], form: int, posted: Mapping[str, Sequence[str]]) -> bool:
    return all(
        tag.attributes.get("value", "") in posted.get(tag.attributes.get("name", ""), ())
        for tag in tags
        if form in tag.inside
        and tag.name == "input"
        and tag.attributes.get("type") == "hidden"
        and tag.attributes.get("name") != _TOKEN
    )


def _error(refused: RefusedForm) -> str:
    link = ""
    if refused.link:
        address, words = refused.link
        link = f' <a class="touch" href="{escape(address)}">{escape(words)}</a>'
    return (
        f'<p class="error" id="{ID}" role="alert" tabindex="-1" autofocus>'
        f"{escape(refused.sentence)}{link}</p>"
    )


def _change(
    tags: list[Tag], tag: Tag, posted: Mapping[str, Sequence[str]]
) -> Iterator[tuple[int, int, str]]:
    name = tag.attributes.get("name", "")
    if tag.name == "input":
        kind = tag.attributes.get("type", "text").lower()
        if kind in _TICKED:
            ticked = tag.attributes.get("value", "on") in posted.get(name, ())
            yield tag.start, tag.end, _written(tag, "checked", "" if ticked else None)
        elif kind not in _KEPT_OUT and name in posted:
            yield tag.start, tag.end, _written(tag, "value", posted[name][-1])
    elif tag.name == "textarea" and name in posted:
        yield tag.end, tag.text_end, escape(posted[name][-1])
    elif tag.name == "option":
        select = next((tags[n] for n in reversed(tag.inside) if tags[n].name == "select"), None)
        chosen = posted.get(select.attributes.get("name", "")) if select else None
        if chosen is not None:
            value = tag.attributes.get("value", tag.text.strip())
            yield tag.start, tag.end, _written(tag, "selected", "" if value in chosen else None)


def _written(tag: Tag, name: str, value: str | None) -> str:
    """The tag with one attribute set; None takes it away."""
    attributes = {key: text for key, text in tag.attributes.items() if key != name}
    if value is not None:
        attributes[name] = value
    words = [tag.name, *(f'{key}="{escape(text)}"' for key, text in attributes.items())]
    return f"<{' '.join(words)}>"


_ALONE = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"}


@dataclass(slots=True)
class _Open:
    number: int
    name: str


class _Reader(HTMLParser):
    """Every start tag with its place in the text, and what it stands in."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[Tag] = []
        self._open: list[_Open] = []
        self._lines = [0]
        for line in page.split("\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)
        self._fresh: Tag | None = None
        self.feed(page)
        self.close()

    def _at(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, name: str, attributes: Attributes) -> None:
        self._settle()
        start = self._at()
        end = start + len(self.get_starttag_text() or "")
        known: dict[str, str] = {key: value or "" for key, value in reversed(attributes)}
        known = dict(reversed(known.items()))
        tag = Tag(name, known, start, end, [each.number for each in self._open])
        self.tags.append(tag)
        self._fresh = tag
        if name not in _ALONE:
            if name == "option" and self._open and self._open[-1].name == "option":
                self._open.pop()
            self._open.append(_Open(len(self.tags) - 1, name))

    def handle_startendtag(self, name: str, attributes: Attributes) -> None:
        self.handle_starttag(name, attributes)
        if name not in _ALONE:
            self.handle_endtag(name)

    def handle_endtag(self, name: str) -> None:
        self._settle()
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place].name == name:
                del self._open[place:]
                return

    def handle_data(self, data: str) -> None:
        if self._fresh is not None:
            self._fresh.text += data

    def _settle(self) -> None:
        if self._fresh is not None:
            self._fresh.text_end = self._at()
            self._fresh = None
