"""The page of a report in a browser: nothing is loaded, and what it offers works by mouse and by keyboard.

The browser is ``$RMTL_BENCH_BROWSER``, or a Chromium that is installed. Without one these tests are skipped, and with
``$RMTL_BENCH_REQUIRE_BROWSER`` they fail. Without the extra ``browser``, which drives it, they are always skipped.
"""

from __future__ import annotations

import os
import re
import shutil

import pytest

REQUIRED = bool(os.environ.get("RMTL_BENCH_REQUIRE_BROWSER"))
sync_api = pytest.importorskip("playwright.sync_api", reason="the extra 'browser' is not installed")

from rmtl_bench.report.page import write_report  # noqa: E402
from rmtl_bench.store import Store  # noqa: E402

pytestmark = pytest.mark.browser

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
GAINS = {"equal": 0.0, "mine": 0.02, "mine-cw": 0.005, SCRIPT: -0.01, IMAGE: 0.01}
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
FIRST = "#leaderboard .cell >> nth=0"


@pytest.fixture(scope="module")
def browser():
    path = os.environ.get("RMTL_BENCH_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        reason = f"no browser: none of {', '.join(NAMES)} is installed, and $RMTL_BENCH_BROWSER names none"
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory, publish_suite):
    folder = tmp_path_factory.mktemp("browser")
    store = Store.open(folder / "store")
    failed = {("mine", 5): f"Traceback (most recent call last):\nValueError: {SCRIPT}\n"}
    publish_suite(store, GAINS, 6, failed=failed, tasks=(SCRIPT, "pay"), dataset=IMAGE, title=IMAGE)
    return write_report(store, "tiny", folder / "report.html", draws=100).path.as_uri()


class Watched:
    """What a page asked for and complained of."""

    def __init__(self, page):
        self.page, self.requests, self.complaints = page, [], []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))


@pytest.fixture
def open_page(browser, address):
    """Open the page; whatever a test does, nothing is asked of a network and nothing complained of."""
    contexts, opened = [], []

    def open_one(width=1280, height=900, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        watched = Watched(contexts[-1].new_page())
        opened.append(watched)
        watched.page.goto(address)
        return watched.page

    yield open_one
    for context in contexts:
        context.close()
    assert [watched.requests for watched in opened] == [[address]] * len(opened)
    assert [watched.complaints for watched in opened] == [[]] * len(opened)


def methods(page):
    return page.eval_on_selector_all(
        "#leaderboard tbody tr", "rows => rows.filter(r => r.offsetParent).map(r => r.dataset.method)"
    )


def column(page, place):
    rows = page.locator(FIRST).locator("tbody tr")
    return [rows.nth(row).locator("th, td").nth(place).inner_text().split("\n")[0] for row in range(rows.count())]


def test_names_that_are_markup_are_shown_as_text(open_page):
    page = open_page()
    assert page.locator("main img").count() == 0
    assert page.evaluate("document.scripts.length") == 2
    assert page.locator("h1").inner_text() == f"tiny@1: {IMAGE}"
    assert f"ple/{SCRIPT}" in column(page, 1)
    page.locator("#failures summary").click()
    assert f"ValueError: {SCRIPT}" in page.locator("#failures pre").last.inner_text()


def test_a_click_sorts_both_ways_and_back(open_page):
    page = open_page()
    heading = page.locator(FIRST).locator("th", has_text="mean")
    before = column(page, 2)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column(page, 2) == sorted(before, key=lambda text: float(text.split()[0]))
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(page, 2) == sorted(before, key=lambda text: -float(text.split()[0]))
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") is None
    assert column(page, 2) == before


def test_the_keyboard_sorts(open_page):
    page = open_page()
    names = column(page, 1)
    page.locator(FIRST).get_by_role("button", name="sort by method").focus()
    page.keyboard.press("Enter")
    assert column(page, 1) != names
    assert sorted(column(page, 1)) == sorted(names)
    assert page.locator(FIRST).locator("th[aria-sort]").count() == 1


def test_the_filter_narrows_and_the_count_says_so(open_page):
    page = open_page()
    assert page.locator("#count").inner_text() == "20 of 20 rows, in 4 of 4 tables; no method hidden"
    page.get_by_label("method contains").fill("MINE")
    assert set(methods(page)) == {"ple/mine", "ple/mine-cw"}
    assert page.locator("#count").inner_text() == "8 of 20 rows, in 4 of 4 tables; no method hidden"
    assert page.locator("#count").get_attribute("aria-live") == "polite"
    page.locator("[data-choice=task]").select_option(label=SCRIPT)
    assert page.locator("#count").inner_text() == "4 of 20 rows, in 2 of 4 tables; no method hidden"


def visible(page, method, inside):
    return page.eval_on_selector_all(
        f"{inside} [data-method]",
        "(all, method) => all.filter(e => e.dataset.method === method && e.getClientRects().length > 0).length",
        method,
    )


def test_a_hidden_method_leaves_the_tables_and_the_figures(open_page):
    page = open_page()
    assert visible(page, "ple/mine", "#leaderboard") == 4
    assert visible(page, "ple/mine", "#figures svg") > 0
    page.locator(FIRST).locator("tr[data-method='ple/mine']").hover()
    page.locator(FIRST).get_by_role("button", name="hide ple/mine", exact=True).click()
    assert visible(page, "ple/mine", "main") == 0
    assert visible(page, "ple/mine-cw", "#figures svg") > 0
    assert page.locator("#count").inner_text().endswith("1 method hidden")
    page.get_by_role("button", name="show all").click()
    assert visible(page, "ple/mine", "#leaderboard") == 4
    assert visible(page, "ple/mine", "#figures svg") > 0


def test_methods_are_chosen_by_keyboard_and_all_others_hidden(open_page):
    page = open_page()
    page.locator("#chooser summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert visible(page, "ple/equal", "main") == 0
    page.get_by_label("method contains").fill("mine")
    page.get_by_role("button", name="hide all other methods").click()
    assert page.locator("#count").inner_text().endswith("3 methods hidden")
    assert visible(page, f"ple/{SCRIPT}", "main") == 0


def test_a_pair_is_picked_by_keyboard_or_by_a_click(open_page):
    page = open_page()
    page.locator("#pick-a").select_option("ple/mine-cw")
    page.locator("#pick-b").select_option("ple/equal")
    lines = page.locator("#picked li").all_inner_texts()
    assert len(lines) == 4
    better = re.fullmatch(r".* · pay · auc · ple: ▲ better, difference \+([0-9.]+), p .*, n 6", lines[2])
    assert better
    page.locator("#pick-a").select_option("ple/equal")
    page.locator("#pick-b").select_option("ple/mine-cw")
    assert f"▼ worse, difference -{better[1]}" in page.locator("#picked li").all_inner_texts()[2]
    page.locator("table.matrix").first.locator("tbody tr").nth(1).locator("td").first.click()
    assert page.locator("#pick-a").input_value() != page.locator("#pick-b").input_value()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_tables_and_never_the_page(open_page, scheme):
    page = open_page(360, 740, color_scheme=scheme)
    page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    wide = page.locator(FIRST).locator(".scroll")
    assert wide.evaluate("each => each.scrollWidth > each.clientWidth")
    wide.evaluate("each => each.scrollLeft = 200")
    head = page.locator(FIRST).locator("tbody th").first.bounding_box()
    assert 0 <= head["x"] < 40


def background(page):
    red, green, blue = re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]
    return int(red) + int(green) + int(blue)


def test_the_page_is_dark_where_the_reader_has_it_dark_or_asks_for_it(open_page):
    assert background(open_page(color_scheme="light")) > 700
    page = open_page(color_scheme="dark")
    assert background(page) < 120
    page.get_by_role("button", name="light page").click()
    assert background(page) > 700
    page.get_by_role("button", name="dark page").click()
    assert background(page) < 120


def test_paper_is_light_has_no_controls_and_nothing_folded_or_cut(open_page):
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert background(page) > 700
    for name in ("#tools", "#picker", "nav", "#theme", "th .sort"):
        assert not page.locator(name).first.is_visible()
    sync_api.expect(page.locator("details:not([open])")).to_have_count(0)
    styles = "all => all.map(each => [getComputedStyle(each).overflow, getComputedStyle(each).maxHeight].join(' '))"
    assert set(page.eval_on_selector_all(".scroll", styles)) == {"visible none"}
    page.emulate_media(media="screen", color_scheme="dark")
    sync_api.expect(page.locator("details:not([open])")).not_to_have_count(0)


def test_without_scripts_all_is_there_and_no_control_is(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator(FIRST).locator("tbody tr").count() == len(GAINS)
    assert not page.locator("#tools").is_visible()
    assert not page.locator("#theme").is_visible()
    assert page.locator("#figures-curves svg").first.is_visible()


def test_the_skip_link_is_the_first_stop(open_page):
    page = open_page()
    page.bring_to_front()
    page.locator("body").press("Tab")
    sync_api.expect(page.locator("a.skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**#found")
