import base64
import hashlib
import re
from dataclasses import dataclass

import pytest

from eval.prescreening import PreScreening
from eval.report.data import (
    Candidate,
    Entry,
    GateCheck,
    MemberWeight,
    ReportData,
    Round,
    RunFacts,
    Sample,
    UnusableReply,
)
from eval.report.render import render
from eval.report.scores import score_runs
from eval.similarity import Similarity
from eval.statistics.estimate import Estimate
from rewards_generated.schedule import Schedule
from tests.eval.report.page import Page
from tests.eval.report.sample import sample_report, simulated_runs

HOSTILE = "</title></style></script></pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}{% x %}"


@dataclass
class Rendered:
    data: ReportData
    html: str
    page: Page


@pytest.fixture(scope="module")
def whole():
    data = sample_report(rounds=2, per_round=6, questions=150)
    html = render(data)
    return Rendered(data, html, Page(html))


def minimal(**fields):
    return ReportData(run=RunFacts(name="run", task="testbed", base_model="testbed"), **fields)


def scored(name, accuracy=0.6, **fields):
    scores = score_runs(simulated_runs(accuracy, (1,), 60))
    return Candidate(name=name, identity=name * 3, round=1, status="screened", scores=scores, **fields)


def test_loads_nothing(whole):
    for tag, attributes in whole.page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href", "background"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,", (tag, name, value)
        assert tag not in ("iframe", "object", "embed", "base", "form")
    assert not re.search(r"url\(|@import|https?://", whole.html)


def test_only_its_own_script_may_run(whole):
    policy = next(a["content"] for a in whole.page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(whole.page.script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert len(whole.page.all("script")) == 1
    assert not [name for _, attributes in whole.page.elements for name in attributes if name.startswith("on")]


def test_is_well_formed_with_unique_ids_and_links_that_lead_somewhere(whole):
    assert whole.page.unbalanced == []
    assert whole.page.open == []
    ids = [a["id"] for _, a in whole.page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for link in whole.page.all("a"):
        assert link["href"][1:] in ids


def hostile_report():
    entry = scored("x").scores
    candidate = Candidate(
        name=HOSTILE,
        identity=HOSTILE,
        round=1,
        status="screened",
        code=f'"""{HOSTILE}"""\n# {HOSTILE}\nx = "{HOSTILE}',
        family=HOSTILE,
        origin=HOSTILE,
        description=HOSTILE,
        parents=(HOSTILE, "unknown" + HOSTILE),
        checks=(GateCheck(name=HOSTILE, passed=False, reason=HOSTILE),),
        scores=entry,
        curves=(
            {"step": 1, HOSTILE: 1.0},
            {"step": 2, HOSTILE: 2.0, "m": {HOSTILE: 1.0}},
            {"step": 3, "m": {HOSTILE: 2}},
        ),
        weights=(MemberWeight(name=HOSTILE, weight=1.0, schedule=Schedule(kind="linear", to=0.0)),),
        samples=(Sample(prompt=HOSTILE, completion=HOSTILE, answer=HOSTILE, scores={HOSTILE: 1.0}),),
    )
    return minimal(
        candidates=(candidate, candidate.model_copy(update={"status": "failed", "failure": HOSTILE, "scores": None})),
        entries=(
            Entry(
                name=HOSTILE,
                kind="ensemble",
                validation=entry,
                test=entry,
                winner=True,
                aggregation=HOSTILE,
                members=(HOSTILE,),
            ),
            Entry(name="b" + HOSTILE, kind="control", control=HOSTILE, failure=HOSTILE),
        ),
        rounds=(Round(number=1, unusable=(UnusableReply(reason=HOSTILE, detail=HOSTILE),)),),
        notes=(HOSTILE,),
    ).model_copy(
        update={
            "run": RunFacts(
                name=HOSTILE, task=HOSTILE, base_model=HOSTILE, proposer=HOSTILE, versions={HOSTILE: HOSTILE}
            )
        }
    )


def test_hostile_text_stays_text(whole):
    html = render(hostile_report())
    page = Page(html)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert page.script == whole.page.script
    assert page.unbalanced == []
    assert not [n for _, attributes in page.elements for n in attributes if n.startswith("on")]
    assert "alert(1)" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "49" not in page.text.split("alert(1)")[1][:60]


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\x1b", "\x00", "\u200b", "\ud800"])
def test_invisible_and_reordering_characters_are_shown(character):
    candidate = scored("plain", code=f"x = 1  # a{character}b\n", description=f"c{character}d")
    html = render(minimal(candidates=(candidate,)))
    assert character not in html
    assert f"⟨U+{ord(character):04X}⟩" in html
    html.encode("utf-8")


def test_unscored_candidates_are_listed_apart_with_their_reasons():
    candidates = (
        scored("good", 0.7),
        scored("better", 0.9),
        Candidate(name="crashed", identity="c", round=1, status="failed", failure="out of memory at step 12"),
        Candidate(
            name="refused",
            identity="d",
            round=1,
            status="rejected",
            checks=(GateCheck(name="imports", passed=False, reason="os"),),
        ),
        Candidate(name="waiting", identity="e", round=1, status="pending"),
        Candidate(name="copy", identity="f", round=1, status="duplicate", failure="near-duplicate: like better"),
        # A failed run must not be ranked even if figures are handed in with it.
        scored("impostor", 1.2).model_copy(update={"status": "failed", "failure": "raised too often"}),
    )
    html = render(minimal(candidates=candidates))
    words = Page(html).words
    ranked, _, apart = words.rpartition("Without a score")
    apart = apart[apart.index("candidates that never got a score") :]
    assert ranked.index("1. better") < ranked.index("2. good")
    for name, reason in [
        ("crashed", "out of memory at step 12"),
        ("refused", "imports: os"),
        ("waiting", "not screened yet"),
        ("copy", "near-duplicate: like better"),
        ("impostor", "raised too often"),
    ]:
        assert not re.search(rf'class="name">[0-9]+\. {name}', html)
        assert name in apart
        assert reason in apart


def test_a_warning_of_the_gate_is_neither_a_failure_nor_the_reason():
    checks = (
        GateCheck(name="alone", passed=False, enforced=False, reason="nine attacks tie"),
        GateCheck(name="finite", passed=False, reason="it returned nan"),
    )
    candidate = Candidate(name="refused", identity="d", round=1, status="rejected", checks=checks)
    words = Page(render(minimal(candidates=(candidate,)))).words
    assert "finite: it returned nan" in words
    assert "alone: nine attacks tie" not in words
    assert "alone: warning. nine attacks tie" in words
    assert "finite: failed. it returned nan" in words


def test_unscored_entries_are_not_in_the_leaderboard_table(whole):
    failed = [e.name for e in whole.data.entries if e.failure]
    assert failed
    table = whole.html[
        whole.html.index('<table class="full sortable">') : whole.html.index("Not scored, hence not ranked")
    ]
    for entry in whole.data.entries:
        shown = f'<span class="name">{entry.name}</span>' in table
        assert shown == (entry.name not in failed)


def test_an_entry_with_other_steps_has_no_rank(whole):
    apart = whole.html[whole.html.index('<tbody class="apart">') :]
    apart = apart[: apart.index("</tbody>")]
    # A table body of its own: sorting never mixes it with the others.
    assert re.findall(r'class="name">(.*?)<', apart) == ["top-5, 300 steps"]
    assert 'class="right" data-value=""' in apart
    assert "listed apart: 300 steps instead of 40" in whole.page.words


def test_every_scored_candidate_is_a_point_that_leads_to_its_section(whole):
    figure = whole.html[whole.html.index('<div class="only-wide">') : whole.html.index('<div class="only-narrow">')]
    count = sum(candidate.scores is not None for candidate in whole.data.candidates)
    assert len(re.findall(r"<circle", figure)) == count
    assert len(set(re.findall(r'href="#(candidate-\d+)"', figure))) == count


def test_source_is_highlighted_and_whole(whole):
    assert '<span class="k">def</span>' in whole.html
    candidate = next(c for c in whole.data.candidates if c.code)
    assert " ".join(candidate.code.split()) in whole.page.words


def test_says_when_the_test_split_was_opened_and_that_the_testbed_is_constructed(whole):
    assert "opened once, on 21 November 2026, 03:31 UTC" in whole.page.words
    assert "Task and base policy were constructed" in whole.page.words


def test_one_file_of_modest_size():
    assert len(render(sample_report(5, 10, seeds=(1,), questions=60)).encode()) < 5_000_000


def test_nothing_but_a_name():
    page = Page(render(minimal()))
    assert page.unbalanced == []
    assert "This run has no candidates yet." in page.words
    assert "None" not in page.words
    assert "nan" not in page.words.lower().split()


@pytest.mark.parametrize(
    "data",
    [
        minimal(rounds=(Round(number=1), Round(number=2, requested=4))),
        minimal(candidates=(Candidate(name="a", identity="a", round=3, status="pending"),)),
        minimal(candidates=(scored("only"),)),
        minimal(entries=(Entry(name="e", kind="ensemble"),)),
        minimal(entries=(Entry(name="e", kind="ensemble", winner=True, failure="crashed"),)),
        minimal(entries=(Entry(name="e", kind="single", validation=scored("x").scores),)),
        minimal(entries=(Entry(name="e", kind="single", test=scored("x").scores, winner=True),)),
        minimal(candidates=(scored("flat", curves=({"step": 1, "loss": None}, {"step": 1}, {}, {"a": float("nan")})),)),
        minimal(candidates=(scored("perfect", 5.0), scored("hopeless", -5.0))),
        sample_report(1, 3, seeds=(1,), questions=50).model_copy(update={"candidates": (), "baselines": ()}),
        sample_report(1, 3, seeds=(1,), questions=50).model_copy(update={"candidates": (), "pairwise": None}),
    ],
    ids=range(11),
)
def test_whatever_is_missing_leaves_a_whole_page(data):
    page = Page(render(data))
    assert page.unbalanced == []
    assert page.open == []
    assert not re.search(r"\bNone\b|\bnan\b|\binf\b", page.words)


def test_the_same_data_gives_the_same_page(whole):
    assert render(whole.data) == whole.html


def test_data_survives_json(whole):
    assert render(ReportData.model_validate_json(whole.data.model_dump_json())) == whole.html


def test_figures_from_before_training_are_shown_with_their_intervals():
    share = Estimate(0.8125, 0.7001, 0.9002, 30, 0.95, "test")
    closest = Similarity(
        name="<b>other", rank_correlation=-0.912345, advantage_correlation=None, informative=50, rollouts=96
    )
    figures = PreScreening(
        rollouts=96,
        unscored=2,
        auc=share,
        preference=None,
        group_size=4,
        spread=share._replace(value=0.5),
        total_spread=share._replace(value=0.9),
        base_spread=share,
        length=share._replace(value=-0.25, low=-0.5),
        closest=closest,
    )
    screened = scored("good", 0.7).model_copy(update={"prescreening": figures})
    page = Page(render(minimal(candidates=(screened, scored("plain", 0.6)))))
    assert page.words.count("Before training") == 2  # the candidate's detail and the methods
    assert "Before training, on 96 rollouts of the base policy" in page.words
    for shown in ("0.812 [0.700, 0.900]", "0.500 [", "−0.250 [−0.500", "<b>other ranks them most alike", "−0.912"):
        assert shown in page.words, shown
    assert "It failed on 2 more." in page.words
    assert "scored on 98 rollouts of the untrained base policy; none had the ranks" in page.words
    assert not page.unbalanced
