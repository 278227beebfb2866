"""From the first link to a moved VM, and from the first red card to a running one, on a
phone-sized browser and two real hosts."""

import re
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from lab import faults
from lab.state import Lab
from tests.browser.window import ARGUMENTS, CHROMIUM
from tests.lab.moving import running
from tests.lab.panels import REPOSITORY, Panel

pytestmark = pytest.mark.timeout(600)
SECRET = "a long enough phrase 7"


def test_the_button_moves_web_to_beta(lab: Lab, panel: Panel) -> None:
    link = re.findall(r"http\S+/first/\S+", panel("first-link").stdout)[-1]
    # In a thread of its own: other tests' browser holds the main thread's event loop.
    with ThreadPoolExecutor(1) as aside:
        assert aside.submit(tap_through, panel, link).result() == []
    assert running(lab, "web") == ["beta"]
    panel("move", "web", "--to", "alpha")
    assert running(lab, "web") == ["alpha"]


@contextmanager
def phone() -> Iterator[tuple[Page, list[str]]]:
    """A tab of a phone's browser, and the script errors of its pages."""
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        small = browser.new_context(
            viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
        )
        tab = small.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        yield tab, errors
        browser.close()


def sign_in(tab: Page) -> None:
    tab.locator("input[name=username]").fill("olga")
    tab.locator("input[type=password]").fill(SECRET)
    tab.locator("form button").first.click()


def tap_through(panel: Panel, link: str) -> list[str]:
    """Make the first account, open web, move it, see it done; the page's script errors."""
    with phone() as (tab, errors):
        tab.goto(link)
        tab.locator("input[name=username]").fill("olga")
        for field in tab.locator("input[type=password]").all():
            field.fill(SECRET)
        tab.locator("form button").first.click()
        tab.goto(f"{panel.url}/")
        tab.locator("a[href^='/vms/']", has_text="web").first.tap()
        tab.locator("a", has_text="Move web to beta").first.tap()
        tab.locator("form button", has_text="Move web to beta now").tap()
        expect(tab.locator("main")).to_contain_text("web is on beta now", timeout=120_000)
    return errors


def test_from_the_first_red_card_to_the_running_vm_in_two_taps(
    lab: Lab, panel: Panel, eventually: Callable[..., Any]
) -> None:
    """web has a copy on beta, home and store have none: the card offers what can be done."""
    alpha = lab.layout.host("alpha")
    panel("backup", "web", "--store", "far")
    faults.cause(alpha, "readonly")
    try:
        with ThreadPoolExecutor(1) as aside:
            assert aside.submit(two_taps, panel).result() == []
        assert running(lab, "web-restored") == ["beta"]
        assert running(lab, "web") == []  # it would have run twice
        brought = [job["state"] for job in panel.json("jobs") if job["kind"] == "instant"]
        assert brought == ["done"]
    finally:
        faults.heal(lab.layout, alpha)


def two_taps(panel: Panel) -> list[str]:
    """Sign in before anything is wrong; then the card's button, and the confirmation."""
    with phone() as (tab, errors):
        tab.goto(f"{panel.url}/sign-in/")
        sign_in(tab)
        first = tab.locator("main .button.primary").first
        expect(first).to_contain_text("Bring web back on beta", timeout=120_000)
        expect(first).to_contain_text("back to")
        assert in_the_first_window(tab, ".button.primary")
        first.tap()
        yes = tab.locator("main button.primary")
        expect(yes).to_have_text("Yes, bring web back")
        assert in_the_first_window(tab, "button.primary")
        yes.tap()
        expect(tab.locator("main")).to_contain_text("web-restored runs on beta", timeout=240_000)
        tab.goto(f"{panel.url}/")
        expect(tab.locator("main")).to_contain_text("web was brought back on beta")
    return errors


def in_the_first_window(tab: Page, which: str) -> bool:
    """Whether the thumb finds it without scrolling, above the bar of places; what is shown may be
    brought up to date in that very moment."""
    for _ in range(20):
        box = tab.locator(f"main {which}").first.bounding_box()
        if box is not None and box["y"] + box["height"] <= 844 - 52:
            return True
        tab.wait_for_timeout(250)
    return False


def test_a_store_and_a_trial_are_made_and_unmade(
    lab: Lab, panel: Panel, eventually: Callable[..., Any]
) -> None:
    """What was made from a phone goes again from a phone, and takes nothing else with it."""
    copy = panel.json("backup", "web", "--store", "far")["generation"]
    panel("restore", copy, "--to", "beta", "--name", "trial", "--start")
    eventually(lambda: listed(panel, "trial"), "it is listed")
    with ThreadPoolExecutor(1) as aside:
        assert aside.submit(make_and_unmake, panel).result() == []
    assert running(lab, "trial") == []
    here = lab.ssh("beta", ["ls", "/srv/images"]).stdout.split()
    assert [name for name in here if "trial" in name] == []
    kept = lab.ssh("beta", ["ls", "-A", "/srv/images/labpanel"]).stdout
    assert "labpanel-store.json" in kept  # forgotten, and nothing of it touched
    assert lab.ssh("beta", ["stat", "-c", "%a", "/srv/images/labpanel"]).stdout.strip() == "700"
    assert [store["name"] for store in panel.json("store", "list")] == ["far"]
    lab.ssh("beta", ["rm", "-r", "/srv/images/labpanel"])


def listed(panel: Panel, name: str) -> bool:
    return name in [vm["name"] for vm in panel.json("vm", "list")]


def make_and_unmake(panel: Panel) -> list[str]:
    trial = next(vm for vm in panel.json("vm", "list") if vm["name"] == "trial")["uuid"]
    with phone() as (tab, errors):
        tab.goto(f"{panel.url}/sign-in/?next=/stores/add/")
        sign_in(tab)
        place = "input[value='beta/srv/images/labpanel']"
        tab.locator("input[name=name]").fill("third")
        tab.locator(place).check()
        tab.locator("button", has_text="Add this store").tap()
        expect(tab.locator("#not-done")).to_contain_text("does not exist")
        expect(tab.locator("#not-done")).to_be_in_viewport()
        expect(tab.locator("input[name=name]")).to_have_value("third")
        expect(tab.locator(place)).to_be_checked()
        tab.locator("input[name=make_folder]").check()
        tab.locator("button", has_text="Add this store").tap()
        expect(tab.locator("main")).to_contain_text("/srv/images/labpanel on beta")
        tab.goto(f"{panel.url}/stores/third/")
        tab.locator("#remove-store summary").tap()
        tab.locator("button", has_text="Forget third").tap()
        expect(tab).to_have_url(f"{panel.url}/settings/#stores")
        tab.goto(f"{panel.url}/vms/{trial}/")
        tab.locator("#remove-images").check()
        tab.locator("#remove-name").fill("trial")
        tab.locator("button", has_text="Remove trial").tap()
        expect(tab.locator("#not-done")).to_contain_text("shut it down first")
        expect(tab.locator("#remove-name")).to_have_value("trial")
        tab.locator("#remove-off").check()
        tab.locator("button", has_text="Remove trial").tap()
        expect(tab.locator("main")).to_contain_text("trial is removed from beta", timeout=120_000)
        tab.goto(f"{panel.url}/vms/{trial}/power/")  # a tab that is opened again
        expect(tab.locator("main")).to_contain_text("Nothing is at this address")
    return errors


def commands_of_the_readme() -> list[list[str]]:
    """What its section "Keep copies" has a new user type, in order."""
    text = (REPOSITORY / "README.md").read_text()
    section = text[text.index("## Keep copies") : text.index("## Move a VM")]
    lines = [line.partition(" #")[0] for line in section.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("./panel ")]


def typed_when_free(panel: Panel, words: list[str]) -> str:
    """What it says; empty while the policy's own job holds the same lock key."""
    done = panel(*words, ok=False)
    if "being worked on" in done.stderr:
        return ""
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def test_the_readmes_commands_work_as_written(
    lab: Lab, panel: Panel, eventually: Callable[..., Any]
) -> None:
    """The store far is there already; a terminal would be asked for the name of what goes."""
    typed = commands_of_the_readme()
    assert ["store", "add", "far", "--host", "beta", "/srv/store"] in typed
    typed.remove(["store", "add", "far", "--host", "beta", "/srv/store"])
    assert len(typed) >= 13
    made = ""
    for words in typed:
        now = [made if word == "GENERATION" else word for word in words]
        if now[:2] == ["vm", "remove"]:
            eventually(lambda name=now[2]: listed(panel, name), "it is listed")
            now += ["--confirm", now[2]]
        said = eventually(lambda now=now: typed_when_free(panel, now), f"{now} is free to do", 240)
        if now[0] == "backup":
            made = re.findall(r"generation (\S+)\.", said)[-1]
    eventually(lambda: listed(panel, "quick"), "it is listed")
    assert running(lab, "quick") == ["beta"]
    assert running(lab, "home-copy") == []
    remove = ["vm", "remove", "quick", "--switch-off", "--images", "--confirm", "quick"]
    eventually(lambda: typed_when_free(panel, remove), "quick is free to go", 240)
