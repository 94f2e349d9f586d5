"""The page in a real browser. Needs Playwright and a Chromium: its own, or one on the path."""

from __future__ import annotations

import shutil

import pytest

from eval.report.render import render
from tests.eval.report.sample import sample_report

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")


@pytest.fixture(scope="module")
def data():
    return sample_report(rounds=3, per_round=6, questions=120)


@pytest.fixture(scope="module")
def address(data, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render(data), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as run:
        found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        try:
            chromium = run.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium to be started: {str(error).splitlines()[0]}")
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, address):
    """Opens the page; whatever it writes to the console fails the test."""
    contexts, complaints = [], []

    def open_page(width=1280, **settings):
        context = browser.new_context(viewport={"width": width, "height": 844}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if request.url != address else None)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def column(page, table, number):
    return page.eval_on_selector_all(
        f"{table} tbody:not(.apart) tr",
        f"rows => rows.filter(r => !r.hidden).map(r => r.cells[{number}].dataset.value)",
    )


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_page_scrolls_sideways_whatever_is_open(opened, width):
    page = opened(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_leaderboard_sorts_both_ways_and_keeps_apart_what_is_listed_apart(opened):
    page = opened()
    heading = page.get_by_role("button", name="F1, validation").first
    heading.click()
    falling = [float(value) for value in column(page, "table.leaderboard", 3)]
    assert falling == sorted(falling, reverse=True)
    heading.click()
    rising = [float(value) for value in column(page, "table.leaderboard", 3)]
    assert rising == sorted(falling)
    assert page.locator("table.leaderboard tbody.apart tr").count() == 1


def test_what_has_no_score_stays_last_in_either_direction(opened, data):
    page = opened()
    heading = page.locator("table.candidate-table").get_by_role("button", name="F1, validation")
    missing = sum(candidate.scores is None for candidate in data.candidates)
    assert missing
    for _ in range(2):
        heading.click()
        values = column(page, "table.candidate-table", 4)
        assert values[-missing:] == [""] * missing
        assert "" not in values[:-missing]


def test_candidates_are_filtered_in_table_and_sections_alike(opened, data):
    page = opened()

    def shown():
        rows = page.eval_on_selector_all(
            "table.candidate-table tbody tr", "rows => rows.filter(r => !r.hidden).map(r => r.dataset.for)"
        )
        sections = page.eval_on_selector_all(
            ".candidates > details", "all => all.filter(d => !d.hidden).map(d => d.id)"
        )
        assert sorted(rows) == sorted(sections)
        return len(rows)

    assert shown() == len(data.candidates)
    page.select_option("#filter-round", "2")
    assert shown() == sum(c.round == 2 for c in data.candidates)
    page.select_option("#filter-round", "")
    page.check("#filter-flagged")
    assert shown() == sum(bool(c.flags) for c in data.candidates)
    page.uncheck("#filter-flagged")
    name = data.candidates[0].name
    page.fill("#filter-text", name.upper())
    assert shown() == 1
    assert page.text_content("#filter-count") == f"1 of {len(data.candidates)}"


def test_other_tables_are_filtered_by_their_words(opened):
    page = opened()
    page.get_by_label("Filter entries").fill("random first")
    assert page.locator("table.leaderboard tbody tr:visible").count() == 1


def test_a_name_opens_its_section(opened):
    page = opened()
    section = page.locator("#scored > details").first
    assert not section.is_visible()
    page.locator("table.candidate-table a.name").first.click()
    section.locator("pre").first.wait_for(state="visible")
    playwright.expect(section).to_be_in_viewport()


def test_a_point_of_the_figure_leads_to_its_candidate(opened):
    page = opened()
    link = page.locator("#rounds ~ figure .only-wide svg a").first
    target = link.get_attribute("href")
    link.locator("circle").click(force=True)
    page.locator(f"{target} pre").first.wait_for(state="visible")


@pytest.mark.parametrize("refused", [False, True])
def test_tables_are_copied_even_where_the_clipboard_interface_is_refused(opened, refused):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.evaluate("document.querySelectorAll('details.aside').forEach(d => { d.open = true; })")
    page.evaluate("document.addEventListener('copy', () => { window.copied = String(document.activeElement.value); })")
    if refused:
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    button = page.locator("button[data-copy=table-latex]")
    button.click()
    playwright.expect(button).to_have_text("Copied")
    text = page.evaluate("window.copied" if refused else "navigator.clipboard.readText()")
    assert text == page.text_content("#table-latex")
    assert text.startswith("\\begin{table}")


def contrast(page, selector):
    """WCAG 2.2's contrast ratio of an element's text on the page."""
    colours = page.evaluate(
        "s => [getComputedStyle(document.querySelector(s)).color, getComputedStyle(document.body).backgroundColor]",
        selector,
    )
    shares = []
    for colour in colours:
        levels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
        shares.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(shares) + 0.05) / (min(shares) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(opened, scheme):
    page = opened(color_scheme=scheme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(v) for v in background[4:-1].split(",")) > 382) == (scheme == "light")
    assert contrast(page, "h1") > 12
    for selector in ("figcaption", "th", ".interval", ".key", "ul.caveats"):
        assert contrast(page, selector) >= 4.5, selector


def test_on_paper_headings_of_tables_stay_and_what_is_closed_or_clicked_goes(opened):
    page = opened(width=700, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("table.leaderboard thead").get_by_text("F1, validation").is_visible()
    for gone in ("nav.contents", ".filters", "button.copy", "details.aside"):
        assert page.locator(f"{gone}:visible").count() == 0, gone
    assert page.locator("#rounds ~ figure .only-wide").is_visible()
