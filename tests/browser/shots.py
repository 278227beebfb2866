"""Pictures of the pages, to be looked at: `python -m tests.browser.shots FOLDER [ADDRESS COOKIE]`.

Phone and desk, light and dark. Without an address it starts a panel of its own with a year of
samples; with one it takes the pages that it finds on that panel's overview.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.serve import Panel, panel
from tests.browser.window import ARGUMENTS, CHROMIUM, SIZES, context

PAGES = (
    *("overview", "host", "vm", "coverage", "generation", "copies", "stores", "store"),
    *("policies", "new policy", "job", "jobs", "settings", "sign-in"),
)


def shoot(browser: Browser, there: Panel, folder: Path) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        for scheme in ("light", "dark"):
            window = context(browser, there, size, scheme)
            tab = window.new_page()
            tab.on("console", lambda message: print(message.type, message.text))  # noqa: T201
            for name, path in there.pages.items():
                if name in PAGES:
                    tab.goto(there.address + path)
                    yield _take(tab, folder / f"{name}-{size}-{scheme}.png")
            window.clear_cookies()
            tab.goto(there.address + "/sign-in/")
            yield _take(tab, folder / f"sign-in-{size}-{scheme}.png")
            window.close()


def _take(tab: Page, path: Path) -> str:
    tab.wait_for_load_state("load")
    if tab.locator("#charts").count():
        tab.locator("#charts .u-over, #charts > .soft").first.wait_for(timeout=10_000)
    tab.wait_for_timeout(300)
    tab.screenshot(path=path, full_page=True)
    return str(path)


def found(browser: Browser, address: str, cookie: str) -> Panel:
    """The pages of a panel that runs, from its own links."""
    start = Panel(address, cookie, {"overview": "/", "coverage": "/coverage/", "jobs": "/jobs/"})
    window = context(browser, start, "desk", "light")
    tab = window.new_page()
    pages = {**start.pages, "settings": "/settings/"}
    looks: tuple[tuple[str, str, str], ...] = (
        ("/", "host", "a[href^='/hosts/']"),
        ("/", "vm", "a[href^='/vms/']:not([href*=move])"),
        ("/jobs/", "job", "a[href^='/jobs/1'], a[href^='/jobs/2'], .jobs a"),
    )
    for path, name, selector in looks:
        tab.goto(address + path)
        links: Any = tab.locator(selector)
        if links.count():
            pages[name] = links.first.get_attribute("href")
    window.close()
    return Panel(address, cookie, pages)


def main() -> None:
    folder, *running = sys.argv[1:]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        if running:
            for path in shoot(browser, found(browser, *running), Path(folder)):
                print(path)  # noqa: T201
        else:
            with panel(days=365) as there:
                for path in shoot(browser, there, Path(folder)):
                    print(path)  # noqa: T201
        browser.close()


if __name__ == "__main__":
    main()
