"""What holds on every page: no error, nothing scrolls sideways, fingers and eyes find their way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.serve import Panel
from tests.browser.window import SIZES, context

PAGES = (
    *("overview", "host", "vm", "odd vm", "coverage", "generation", "copies", "stores", "store"),
    *("policies", "new policy", "jobs", "job", "settings", "bring back", "bring all back"),
)
LOOKS = [(size, scheme) for size in SIZES for scheme in ("light", "dark")]
LARGEST = 60_000  # bytes on the wire for the first page
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


@pytest.fixture(params=LOOKS, ids="-".join)
def tab(request: pytest.FixtureRequest, browser: Browser, there: Panel) -> Iterator[Page]:
    """A window of one look; it fails the test if anything was complained about in it."""
    window = context(browser, there, *request.param)
    page = window.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(f"{page.url} {said.type}: {said.text}"))
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    yield page
    window.close()
    assert not complaints


def visit(tab: Page, there: Panel, page: str) -> None:
    tab.goto(there.url(page))
    if tab.locator("#charts").count():
        expect(tab.locator("#charts .u-over").first).to_be_visible()


def unfold(tab: Page) -> None:
    tab.evaluate("() => document.querySelectorAll('details').forEach((each) => each.open = true)")


def test_nothing_scrolls_sideways_and_contrast_is_enough(tab: Page, there: Panel) -> None:
    for page in PAGES:
        visit(tab, there, page)
        unfold(tab)
        wide = "() => document.scrollingElement.scrollWidth - innerWidth"
        assert tab.evaluate(wide) <= 0, f"{page} scrolls sideways"
        assert tab.evaluate(CONTRAST) == [], page


def test_targets_are_large_enough_for_a_finger(browser: Browser, there: Panel) -> None:
    window = context(browser, there, "phone")
    tab = window.new_page()
    for page in PAGES:
        visit(tab, there, page)
        unfold(tab)
        small = tab.evaluate(
            """() => [...document.querySelectorAll(
                 'button, .button, summary, nav a, a.row, select, .field > input, .check label')]
               .filter((each) => each.checkVisibility() && !each.closest('.main-nav'))
               .map((each) => [each.textContent.trim().slice(0, 40), each.getBoundingClientRect()])
               .filter(([, box]) => box.height < 43.9 || box.width < 43.9)
               .map(([text, box]) => `${text}: ${box.width} x ${box.height}`)"""
        )
        assert small == [], page
    window.close()


def test_the_focus_is_always_seen(browser: Browser, there: Panel) -> None:
    window = context(browser, there, "desk")
    tab = window.new_page()
    tab.goto(there.url("vm"))
    for _ in range(12):
        tab.keyboard.press("Tab")
        seen: Any = tab.evaluate(
            """() => { const style = getComputedStyle(document.activeElement);
               return [document.activeElement.outerHTML.slice(0, 80), style.outlineStyle,
                       parseFloat(style.outlineWidth)]; }"""
        )
        assert seen[1] != "none", seen
        assert seen[2] >= 2, seen
    window.close()


def test_the_first_page_is_small(browser: Browser, there: Panel) -> None:
    window = context(browser, there, "phone")
    tab = window.new_page()
    done: list[Any] = []
    # Asking for a size waits, and would lose what is told meanwhile: that comes after the load.
    tab.on("requestfinished", lambda request: done.append(request))
    tab.goto(there.url("overview"), wait_until="load")
    sizes = {request.url: request.sizes()["responseBodySize"] for request in list(done)}
    assert len(sizes) > 3
    assert sum(sizes.values()) <= LARGEST, sizes
    window.close()
