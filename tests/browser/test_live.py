"""Pages that stay true, and what a person does on them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.serve import Panel
from tests.browser.window import context


@pytest.fixture
def phone(browser: Browser, there: Panel) -> Iterator[Page]:
    window = context(browser, there, "phone")
    yield window.new_page()
    window.close()


@pytest.fixture
def desk(browser: Browser, there: Panel) -> Iterator[Page]:
    window = context(browser, there, "desk")
    yield window.new_page()
    window.close()


def test_news_come_by_themselves_and_leave_the_rest_alone(phone: Page, there: Panel) -> None:
    phone.goto(there.url("overview"))
    expect(phone.locator("#state")).to_have_text("alpha cannot write to /srv/images")
    phone.locator("#more-troubles summary").click()
    expect(phone.locator("#more-troubles li").first).to_be_visible()
    there.do(
        "from labpanel.symptoms.facts.file_systems import Cause, FileSystemTrouble as Trouble;"
        "from labpanel.symptoms.stored import facts_as_json;"
        "told = Trouble('alpha', '<b>nothing</b>', Cause.READ_ONLY);"
        "Finding.objects.update(facts=facts_as_json(told)); bus.publish('health')"
    )
    expect(phone.locator("#state")).to_have_text("alpha cannot write to <b>nothing</b>")
    expect(phone.locator("#more-troubles li").first).to_be_visible()
    there.do(
        "from labpanel.symptoms.facts.file_systems import Cause, FileSystemTrouble as Trouble;"
        "from labpanel.symptoms.stored import facts_as_json;"
        "told = Trouble('alpha', '/srv/images', Cause.READ_ONLY);"
        "Finding.objects.update(facts=facts_as_json(told)); bus.publish('health')"
    )
    expect(phone.locator("#state")).to_have_text("alpha cannot write to /srv/images")


def test_what_is_being_typed_stays(desk: Page, there: Panel) -> None:
    desk.goto(there.url("generation"))
    desk.get_by_label("Under which name").fill("home-at-christmas")
    there.do("Generation.objects.update(rehearsed_at=timezone.now()); bus.publish('coverage')")
    expect(desk.locator(".say").get_by_text("It was never booted.")).to_have_count(0)
    expect(desk.get_by_label("Under which name")).to_have_value("home-at-christmas")
    expect(desk.get_by_label("Under which name")).to_be_focused()


def test_a_row_of_coverage_stays_unfolded_while_its_verdict_changes(
    phone: Page, there: Panel
) -> None:
    phone.goto(there.url("coverage"))
    row = phone.locator("details[id^=disk-]").filter(has_text="vdb of home")
    row.locator("summary").first.click()
    expect(row.get_by_role("link", name="To home, or leave a disk out")).to_be_visible()
    there.do(
        "vm = VM.objects.get(name='home');"
        "Exclusion.objects.create(vm=vm, target='vdb', reason='only a cache', by='olga');"
        "bus.publish('coverage')"
    )
    expect(row.get_by_text("olga took it out: only a cache").first).to_be_visible()
    expect(row.get_by_role("button", name="Save vdb of home again")).to_be_visible()
    there.do("Exclusion.objects.filter(reason='only a cache').delete(); bus.publish('coverage')")
    expect(row.get_by_role("link", name="To home, or leave a disk out")).to_be_visible()


def test_a_job_tells_how_it_goes(phone: Page, there: Panel) -> None:
    phone.goto(there.url("job"))
    expect(phone.get_by_text("The guest is frozen.")).to_be_visible()
    there.do(
        "job = Job.objects.get(title='Back up home to far');"
        "JobLine.objects.create(job=job, text='vda is half done.');"
        "Job.objects.filter(pk=job.pk).update(progress=57); bus.publish(f'job:{job.pk}')"
    )
    expect(phone.get_by_text("vda is half done.")).to_be_visible()
    expect(phone.get_by_text("57 %", exact=False)).to_be_visible()


def test_a_button_works_without_javascript(browser: Browser, there: Panel) -> None:
    window = context(browser, there, "phone", java_script_enabled=False)
    tab = window.new_page()
    tab.goto(there.url("job"))
    tab.get_by_role("button", name="Cancel: Back up home to far").click()
    expect(tab.get_by_text("Cancelling was asked for; it stops")).to_be_visible()
    tab.goto(there.url("overview"))
    expect(tab.get_by_role("heading", name="alpha cannot write")).to_be_visible()
    window.close()


def test_graphs_zoom_by_mouse_and_come_back(desk: Page, there: Panel) -> None:
    desk.goto(there.url("vm") + "?range=1d")
    expect(desk.locator(".ranges [aria-current]")).to_have_text("1 d")
    over = desk.locator(".chart .u-over").first
    expect(over).to_be_visible()
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    y = box["y"] + 40
    with desk.expect_response(lambda answer: "start=" in answer.url):
        desk.mouse.move(box["x"] + box["width"] * 0.3, y)
        desk.mouse.down()
        desk.mouse.move(box["x"] + box["width"] * 0.6, y, steps=5)
        desk.mouse.up()
    expect(desk.get_by_role("button", name="Show the whole range")).to_be_visible()
    with desk.expect_response(lambda answer: "range=1d" in answer.url):
        desk.get_by_role("button", name="Show the whole range").click()
    expect(desk.get_by_role("button", name="Show the whole range")).to_be_hidden()


def test_one_finger_reads_the_values_of_all_graphs(phone: Page, there: Panel) -> None:
    phone.goto(there.url("vm") + "?range=1w")
    over = phone.locator(".chart .u-over").first
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    phone.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 40)
    moments = phone.locator(".chart .when")
    expect(moments.nth(0)).not_to_be_empty()
    expect(moments.nth(1)).to_have_text(moments.nth(0).inner_text())


def test_two_fingers_zoom_and_a_double_tap_comes_back(phone: Page, there: Panel) -> None:
    phone.goto(there.url("vm") + "?range=1d")
    over = phone.locator(".chart .u-over").first
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    left, y = box["x"], box["y"] + 40
    hand = phone.context.new_cdp_session(phone)

    def touch(kind: str, *across: float) -> None:
        points = [{"x": left + box["width"] * part, "y": y} for part in across]
        hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    whole = phone.get_by_role("button", name="Show the whole range")
    expect(whole).to_be_hidden()
    with phone.expect_response(lambda answer: "start=" in answer.url):
        touch("touchStart", 0.4, 0.6)
        touch("touchMove", 0.3, 0.7)
        touch("touchMove", 0.2, 0.8)
        touch("touchEnd")
    expect(whole).to_be_visible()
    phone.wait_for_timeout(400)  # two taps of a pinch are no double tap
    with phone.expect_response(lambda answer: "range=1d" in answer.url):
        phone.touchscreen.tap(left + 100, y)
        phone.touchscreen.tap(left + 100, y)
    expect(whole).to_be_hidden()


def test_graphs_as_a_table(phone: Page, there: Panel) -> None:
    phone.goto(there.url("vm") + "?range=1y")
    chart = phone.locator(".chart", has_text="CPU").first
    chart.get_by_text("As a table").click()
    expect(chart.locator("tbody tr").nth(10)).to_be_visible()
    expect(chart.locator("thead th").nth(1)).to_have_text("used")


def test_a_lost_connection_shows_as_age(phone: Page, there: Panel) -> None:
    phone.clock.install()
    phone.goto(there.url("overview"))
    expect(phone.locator("#age")).to_have_text("looked just now")
    phone.context.set_offline(True)
    phone.clock.run_for(130_000)
    expect(phone.locator("#age")).to_have_text("looked 2\N{NO-BREAK SPACE}min ago")
    expect(phone.locator("#age")).to_have_class("age old")
    expect(phone.locator("#state")).to_be_visible()
