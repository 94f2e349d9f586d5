import base64
import json
import re
import zlib

import pytest

from eval.report import parts as module
from eval.report.data import Candidate, Exchange, ReportData, Rollout, RunFacts
from eval.report.lineage_tree import lineage_tree
from eval.report.parts import MOST_BYTES, parts
from eval.report.render import render
from eval.report.source_diff import source_diffs
from tests.eval.report.page import Page
from tests.eval.report.sample import asked_split, sample_report, simulated_runs
from tests.eval.report.test_render import HOSTILE, hostile_report


@pytest.fixture(scope="module")
def data():
    def runs(count):
        return {f"policy {k}": simulated_runs(0.4 + 0.1 * k, (1,), count) for k in range(4)}

    common = "".join(f"Line {k} of the contract.\n" for k in range(40))
    scores = {"answer check": 3.0}
    return ReportData(
        run=RunFacts(name="r", task="t", base_model="m"),
        asked=(asked_split("screening", "validation", runs(60)), asked_split("finals", "test", runs(90))),
        exchanges=tuple(
            Exchange(round=n, model="m", prompt=f"{common}Round {n}.", reply=f"Reply {n}\n\nthe end", tokens=900 + n)
            for n in range(1, 6)
        ),
        rollouts=tuple(
            Rollout(
                prompt="p", completion=f"c{k}", answer="1", step=k % 7, scores=scores, stage="s", policy="a", seed=1
            )
            for k in range(40)
        ),
    )


def unpacked(part):
    return json.loads(zlib.decompress(base64.b64decode(part.packed)))


def test_the_page_holds_every_part_as_it_was_packed(data):
    found = parts(data)
    page = Page(render(data))
    packed = {a["data-part"]: a["data-packed"] for a in page.all("div") if "data-part" in a}
    assert packed == {name: part.packed for name, part in found.items()}
    assert set(packed) == {"exchanges", "rollouts", "asked"}


def test_questions_and_replies_are_put_together_from_lines_that_stand_once(data):
    found = unpacked(parts(data)["exchanges"])
    assert len(found["lines"]) == len(set(found["lines"]))
    for row, exchange in zip(found["rows"], data.exchanges, strict=True):
        assert "\n".join(found["lines"][k] for k in row["prompt"]) == exchange.prompt
        assert "\n".join(found["lines"][k] for k in row["reply"]) == exchange.reply
        assert (row["round"], row["tokens"], row["finish"]) == (exchange.round, exchange.tokens, exchange.finish_reason)


def test_every_rollout_has_what_each_reward_paid_and_the_latest_come_first(data):
    found = unpacked(parts(data)["rollouts"])
    steps = [row["step"] for row in found["rows"]]
    assert steps == sorted(steps, reverse=True)
    assert len(steps) == len(data.rollouts)
    assert all(row["scores"]["answer check"] == 3.0 for row in found["rows"])


def test_answers_stand_by_question_and_policy(data):
    found = unpacked(parts(data)["asked"])
    for split, asked in zip(found, data.asked, strict=True):
        for shown, policy in zip(split["policies"], asked.policies, strict=True):
            assert shown["right"] == "".join(str(int(p.correct)) for p in policy.predictions)
            assert shown["completions"] == {str(k): p.completion for k, p in enumerate(policy.predictions)}


def test_what_has_no_room_is_left_out_from_the_end_and_told(data, monkeypatch):
    whole = parts(data)
    monkeypatch.setattr(module, "MOST_BYTES", {name: 3 * len(part.packed) // 4 for name, part in whole.items()})
    small = parts(data)
    for name, part in small.items():
        assert len(part.packed) <= 3 * len(whole[name].packed) // 4
        assert part.kept < part.of == whole[name].of
    latest = [row["step"] for row in unpacked(small["rollouts"])["rows"]]
    assert latest == sorted((r.step for r in data.rollouts), reverse=True)[: len(latest)]
    asked = unpacked(small["asked"])[0]
    assert len(asked["questions"]) == 60
    halves = [abs(2 * sum(p["right"][k] == "1" for p in asked["policies"]) - len(asked["policies"])) for k in range(60)]
    kept = {int(k) for k in asked["policies"][0]["completions"]}
    assert max(halves[k] for k in kept) <= min(halves[k] for k in range(60) if k not in kept)
    bare = ReportData(run=data.run, asked=data.asked)
    assert f"Completions are kept of the {small['asked'].kept} questions of each split" in Page(render(bare)).words


def test_hostile_text_is_packed_as_text_without_what_hides_or_reorders():
    hostile = hostile_report().model_copy(
        update={"exchanges": (Exchange(round=1, model=HOSTILE, prompt=f"{HOSTILE}\u202e", reply=f"{HOSTILE}\ud800"),)}
    )
    html = render(hostile)
    page = Page(html)
    assert len(page.all("script")) == 1
    packed = next(a["data-packed"] for a in page.all("div") if a.get("data-part") == "exchanges")
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", packed)
    lines = unpacked(parts(hostile)["exchanges"])["lines"]
    assert lines == [f"{HOSTILE}⟨U+202E⟩", f"{HOSTILE}⟨U+D800⟩"]


@pytest.mark.slow
def test_fifty_candidates_with_long_completions_stay_below_three_megabytes():
    data = sample_report(5, 10, seeds=(1,), questions=60)
    # Text that does not compress: the parts then fill their room.
    noise = [base64.b64encode(bytes((k * 97 + j * j * (k + 3)) % 251 for j in range(600))).decode() for k in range(997)]
    asked = tuple(
        split.model_copy(
            update={
                "policies": tuple(
                    policy.model_copy(
                        update={
                            "predictions": tuple(
                                p.model_copy(update={"completion": noise[(n * 60 + k) % 997]})
                                for k, p in enumerate(policy.predictions)
                            )
                        }
                    )
                    for n, policy in enumerate(split.policies)
                )
            }
        )
        for split in data.asked
    )
    assert len(render(data.model_copy(update={"asked": asked})).encode()) < 3_000_000 - sum(MOST_BYTES.values()) + 7e5


def candidate(name, round_, *parents, code="x = 1\n"):
    return Candidate(name=name, identity=name, round=round_, status="pending", parents=parents, code=code)


def test_the_whole_lineage_holds_each_candidate_once_under_its_first_parent():
    run = RunFacts(name="r", task="t", base_model="m")
    every = (candidate("a", 1, "old"), candidate("b", 1), candidate("c", 2, "a", "b"), candidate("d", 3, "c"))
    tree = lineage_tree(ReportData(run=run, candidates=every, older={"old": "library reward"}))
    assert [(branch.depth, branch.candidate.name, branch.others) for branch in tree] == [
        (0, "a", ("library reward",)),
        (1, "c", ("b",)),
        (2, "d", ()),
        (0, "b", ()),
    ]
    assert lineage_tree(ReportData(run=run, candidates=every[:2])) == []
    # A circle in the records hangs nothing.
    assert lineage_tree(ReportData(run=run, candidates=(candidate("a", 1, "b"), candidate("b", 1, "a")))) == []


def test_a_candidate_is_compared_with_its_parent_line_by_line():
    parent = candidate("a", 1, code="def reward():\n    return 1\n")
    child = candidate("b", 2, "a", "gone", code="def reward():\n    return 2  # <b>\u202e\n")
    data = ReportData(run=RunFacts(name="r", task="t", base_model="m"), candidates=(parent, child))
    [diff] = source_diffs(data, child)
    assert diff.parent == "a"
    assert [line for line in diff.lines if line[0] in ("added", "removed")] == [
        ("removed", "    return 1"),
        ("added", "    return 2  # <b>⟨U+202E⟩"),
    ]
    html = render(data)
    assert "What changed against a" in html
    assert '<span class="added">+    return 2  # &lt;b&gt;⟨U+202E⟩\n</span>' in html
