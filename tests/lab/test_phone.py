"""From the first link to a moved VM, on a phone-sized browser and two real hosts."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect, sync_playwright

from lab.state import Lab
from tests.browser.window import ARGUMENTS, CHROMIUM
from tests.lab.conftest import Panel
from tests.lab.moving import running

pytestmark = [pytest.mark.lab, pytest.mark.browser]


def test_the_button_moves_web_to_beta(lab: Lab, panel: Panel) -> None:
    link = re.findall(r"http\S+/first/\S+", panel("first-link").stdout)[-1]
    # In a thread of its own: other tests' browser holds the main thread's event loop.
    with ThreadPoolExecutor(1) as aside:
        assert aside.submit(tap_through, panel, link).result() == []
    assert running(lab, "web") == ["beta"]
    panel("move", "web", "--to", "alpha")
    assert running(lab, "web") == ["alpha"]


def tap_through(panel: Panel, link: str) -> list[str]:
    """Make the first account, open web, move it, see it done; the page's script errors."""
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        phone = browser.new_context(
            viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
        )
        tab = phone.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(link)
        tab.locator("input[name=username]").fill("olga")
        for field in tab.locator("input[type=password]").all():
            field.fill("a long enough phrase 7")
        tab.locator("form button").first.click()
        tab.goto(f"{panel.url}/")
        tab.locator("a[href^='/vms/']", has_text="web").first.tap()
        tab.locator("a", has_text="Move web to beta").first.tap()
        tab.locator("form button", has_text="Move web to beta now").tap()
        expect(tab.locator("main")).to_contain_text("web is on beta now", timeout=120_000)
        browser.close()
    return errors
