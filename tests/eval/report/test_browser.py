"""The page in a real browser; see tests/browser.py."""

from __future__ import annotations

import pytest

from eval.report.render import render
from tests.accessibility import violations
from tests.browser import browser, playwright
from tests.eval.report.sample import sample_report


@pytest.fixture(scope="module")
def data():
    return sample_report(rounds=3, per_round=6, questions=120)


@pytest.fixture(scope="module")
def address(data, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render(data), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture
def opened(chromium, address):
    """Opens the page; whatever it writes to the console fails the test."""
    contexts, complaints = [], []

    def open_page(width=1280, **settings):
        context = chromium.new_context(viewport={"width": width, "height": 844}, **settings)
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


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_object_to(opened, scheme, width):
    page = opened(width=width, color_scheme=scheme)
    assert violations(page) == []
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    for name in ("beside", "questions", "rollouts", "exchanges"):
        unfold(opened_view(page, name))
    assert violations(page) == []


def opened_view(page, name):
    page.locator(f"#{name}").scroll_into_view_if_needed()
    view = page.locator(f"#view-{name}")
    view.locator(".view > *").first.wait_for()
    return view


def unfold(view, number=0):
    """Opens a row of a list; the browser says some moments later that it is open, and then it is filled."""
    row = view.locator(".found details").nth(number)
    row.locator("summary").first.click()
    return filled(row)


def filled(row):
    row.locator(":scope > :not(summary)").first.wait_for(state="attached")
    return row


def test_any_two_candidates_stand_side_by_side(opened, data):
    view = opened_view(opened(), "beside")
    view.get_by_label("First").select_option(label=data.candidates[0].name)
    view.get_by_label("Second").select_option(label=data.candidates[1].name)
    assert view.locator("pre.diff").first.locator(".removed").text_content().strip().endswith("* 0.1")
    assert view.locator("pre.diff").nth(1).locator(".added").text_content().strip().endswith("* 0.2")
    assert view.locator(".curves svg").count() > 2
    asked = data.asked[0]
    both = [p.predictions for p in asked.policies if p.policy in {c.name for c in data.candidates[:2]}]
    apart = sum(a.correct != b.correct for a, b in zip(*both, strict=True))
    assert f"{apart} questions" in view.text_content()
    assert unfold(view).locator("pre").count() == 2


def test_questions_are_filtered_by_who_gets_them_right(opened, data):
    view = opened_view(opened(), "questions")
    view.get_by_label("Which policies").select_option(index=1)
    first, second = data.asked[1].policies[:2]
    view.get_by_label("Outcome of policy 1").select_option("1")
    view.get_by_label("Outcome of policy 2").select_option("0")
    wanted = sum(a.correct and not b.correct for a, b in zip(first.predictions, second.predictions, strict=True))
    assert view.locator(".view p").first.text_content() == f"{wanted} questions"
    view.get_by_label("Words of the question").fill("no such word")
    assert view.locator(".view p").first.text_content() == "0 questions"


def test_rollouts_are_searched_and_a_list_goes_on_with_the_keyboard(opened, data):
    page = opened()
    view = opened_view(page, "rollouts")
    view.get_by_label("Words of prompt").fill("WAIT apples")
    assert view.locator(".view p").first.text_content() == f"{len(data.rollouts)} rollouts"
    view.locator(".found summary").first.focus()
    page.keyboard.press("Enter")
    assert "answer check 3" in filled(view.locator(".found details[open]")).text_content()


def test_questions_to_the_proposer_are_whole(opened, data):
    view = opened_view(opened(), "exchanges")
    texts = unfold(view).locator("pre").all_text_contents()
    assert texts == [data.exchanges[0].prompt, data.exchanges[0].reply]
    assert "It ended by length." in view.text_content()


def test_hostile_text_of_the_packed_parts_runs_nothing(chromium, tmp_path):
    from eval.report.data import Exchange, Rollout
    from tests.eval.report.test_render import HOSTILE, hostile_report

    exchange = Exchange(round=1, model=HOSTILE, prompt=HOSTILE, reply=HOSTILE, error=HOSTILE, finish_reason=HOSTILE)
    rollout = Rollout(
        prompt=HOSTILE, completion=HOSTILE, answer=HOSTILE, scores={HOSTILE: 1.0}, stage="s", policy=HOSTILE, seed=1
    )
    data = hostile_report().model_copy(update={"exchanges": (exchange,), "rollouts": (rollout,)})
    file = tmp_path / "hostile.html"
    file.write_text(render(data), encoding="utf-8")
    page = chromium.new_page()
    said = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    for name in ("beside", "rollouts", "exchanges"):
        view = opened_view(page, name)
        for number in range(view.locator(".found details").count()):
            unfold(view, number)
        assert "alert(1)" in view.text_content()
    assert page.locator("img").count() == 0
    assert said == []
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_views_scroll_no_page_sideways(opened, width):
    page = opened(width)
    for name in ("beside", "questions", "rollouts", "exchanges"):
        unfold(opened_view(page, name))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_paper_every_source_stands(opened, data):
    page = opened()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".candidates > details pre[id$=-source]:visible").count() == len(data.candidates)
    assert page.locator(".candidates .training:visible").count() == 0
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator(".candidates > details[open]").count() == 0
