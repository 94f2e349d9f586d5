"""The story of a search, on the instant executor: what is trained, ranked, named and opened, and when."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.report.data import ReportData
from eval.report.render import render
from search.cli import main
from search.config.checks import wanted_questions
from search.config.names import BASE_ONLY, UNTRAINED
from search.config.plan import Detectable, detectable
from search.config.seeds import retraining_seeds, screening_seeds
from search.config.source import parse_config
from search.ledger import Ledger
from search.reader import open_run
from search.results.beside import beside
from search.results.entries import pairwise
from search.results.notes import controls_ahead, notes
from search.results.ranking import outcomes, ranked
from search.results.report import report_data
from search.watch.page import recorded_parts, running_parts
from tests.search.searches import rows, run_search, small_config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, folder = run_search(tmp_path_factory.mktemp("loop"))
    assert code == 0
    return folder


@pytest.fixture(scope="module")
def shown(run: Path) -> Iterator[ReportData]:
    ledger = Ledger.open(run)
    yield report_data(parse_config(ledger.fact("config")), ledger, running=False)
    ledger.close()


def records(run: Path) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))}


def test_every_screening_shares_seeds_questions_and_everything_but_the_reward(run: Path, ledger: Ledger) -> None:
    jobs = [json.loads(row[0]) for row in rows(run, "SELECT description FROM jobs WHERE stage='screening'")]
    trained = [job for job in jobs if "ensemble" in job]
    assert len(trained) == 5  # four candidates and the base rewards alone
    for job in trained:
        job.pop("label")
        members = job.pop("ensemble")["members"]
        assert [member["name"] for member in members[:3]] == ["format_exact", "format_approximate", "answer_check"]
    assert all(job == trained[0] for job in trained)
    config = parse_config(ledger.fact("config"))
    assert [trained[0]["seed"]] == screening_seeds(config.seed, 1)


def test_retraining_takes_fresh_seeds(ledger: Ledger) -> None:
    seeds = {job.seed for job in ledger.jobs("retraining")}
    assert seeds == set(retraining_seeds(3, 2))
    assert not seeds & set(screening_seeds(3, 1))


def test_ranking_follows_the_validation_split(ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    order = ranked(outcomes(config, ledger))
    right = []
    for outcome in order:
        (predictions,) = ledger.predictions("screening", outcome.candidate.name, "validation").values()
        assert len(predictions) == 40
        right.append(sum(prediction.correct for prediction in predictions))
    assert right == sorted(right, reverse=True)
    assert len(right) == 4


def test_the_winner_is_the_best_selected_ensemble_on_validation(run: Path, ledger: Ledger) -> None:
    board = records(run)
    eligible = [item for item in board.values() if item["kind"] == "ensemble" and not item["listed_apart"]]
    best = max(eligible, key=lambda item: item["validation"]["accuracy"]["value"])
    assert [item["name"] for item in board.values() if item["winner"]] == [best["name"]]
    named = ledger.milestone("winner_named")
    assert named is not None
    assert named.detail["name"] == best["name"]


def test_controls_that_reach_the_winner_are_named_beside_the_figures(run: Path, ledger: Ledger) -> None:
    board = records(run)
    best = next(item["validation"]["f1"]["value"] for item in board.values() if item["winner"])
    ahead = {
        name for name, item in board.items() if item["kind"] == "control" and item["validation"]["f1"]["value"] >= best
    }
    config = parse_config(ledger.fact("config"))
    assert set(controls_ahead(config, ledger)) == ahead
    said = [note for note in notes(config, ledger) if "has not been shown to help" in note]
    assert len(said) == bool(ahead)
    assert all(name in said[0] for name in ahead)


@pytest.mark.parametrize("margin", [None, 0.4])
@pytest.mark.slow
def test_pairs_are_tested_for_equivalence_where_a_margin_was_stated(tmp_path: Path, margin: float | None) -> None:
    code, folder = run_search(tmp_path, finals={"equivalence_margin": margin})
    assert code == 0
    ledger = Ledger.open(folder)
    table = pairwise(parse_config(ledger.fact("config")), ledger)
    ledger.close()
    assert table
    assert table.margin == margin
    assert all((test.equivalence_p is not None) == (margin is not None) for test in table.tests)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert ("margin of 40 points" in " ".join(report.split())) == (margin is not None)


def test_the_test_split_is_opened_last(run: Path) -> None:
    order = [row[0] for row in rows(run, "SELECT name FROM milestones ORDER BY rowid")]
    assert order == ["started", "ensembles_fixed", "winner_named", "controls_fixed", "test_opened", "finished"]
    opened = rows(run, "SELECT at FROM milestones WHERE name='test_opened'")[0][0]
    assert {row[0] for row in rows(run, "SELECT DISTINCT split FROM evaluations WHERE stage <> 'test'")} == {
        "train",
        "validation",
    }
    assert rows(run, f"SELECT COUNT(*) FROM evaluations WHERE split='test' AND at < '{opened}'") == [(0,)]
    assert rows(run, f"SELECT COUNT(*) FROM jobs WHERE stage='retraining' AND at > '{opened}'") == [(0,)]


def test_all_finalists_and_controls_are_on_the_test_split(run: Path) -> None:
    board = records(run)
    assert {UNTRAINED, BASE_ONLY, "top-2", "top-3"} <= board.keys()
    for item in board.values():
        assert item["test"]["n"] == 50
        assert item["failure"] is None
    assert board["top-2"]["test"]["seeds"] == sorted(retraining_seeds(3, 2))


def test_random_draws_have_the_winners_size(run: Path) -> None:
    board = records(run)
    size = next(len(item["members"]) for item in board.values() if item["winner"])
    draws = [item for name, item in board.items() if name.startswith("random-")]
    assert draws
    assert {len(item["members"]) for item in draws} == {size}


def test_the_ledger_keeps_configuration_versions_and_sandbox(ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    assert ledger.fact("config_digest") == config.digest
    assert ledger.fact("seed") == 3
    assert "torch" in ledger.fact("versions")
    assert ledger.fact("sandbox")["level"] in ("strict", "standard")


def test_completions_are_kept_beside_the_ledger(ledger: Ledger) -> None:
    evaluation = next(item for item in ledger.evaluations("screening") if item.subject == BASE_ONLY)
    kept = ledger.completions(evaluation)
    (without,) = ledger.predictions("screening", BASE_ONLY, "validation").values()
    assert [item.model_copy(update={"completion": ""}) for item in kept] == without
    assert all("<solution>" in item.completion for item in kept)


def test_a_failed_screening_is_unscored_and_never_ranked(tmp_path: Path) -> None:
    code, run = run_search(tmp_path, executor={"options": {"fail": "screening reward-101"}})
    assert code == 0
    ledger = Ledger.open(run)
    every = outcomes(parse_config(ledger.fact("config")), ledger)
    failed = next(outcome for outcome in every if outcome.candidate.name == "reward-101")
    assert (failed.status, failed.scores) == ("failed", None)
    assert failed.reasons == ("20 % of the reward calls failed",)
    assert failed not in ranked(every)
    members = {name for finalist in ledger.finalists() for name in finalist.candidates}
    ledger.close()
    assert members
    assert "reward-101" not in members


@pytest.mark.slow
def test_a_failed_retraining_is_listed_without_rank(tmp_path: Path) -> None:
    code, run = run_search(tmp_path, executor={"options": {"fail": "retraining top-2"}})
    assert code == 0
    entry = records(run)["top-2"]
    assert entry["rank"] is None
    assert entry["validation"] is None
    assert entry["test"] is None
    assert "reward calls failed" in entry["failure"]
    assert not entry["winner"]


@pytest.mark.slow
def test_without_any_scored_candidate_there_is_no_winner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, run = run_search(tmp_path, search={"rounds": 1}, executor={"options": {"fail": "screening reward"}})
    assert code == 2
    error = capsys.readouterr().err
    assert "no candidate of 1 round could be scored (2 failed)" in error
    assert f"reward-search run --run-dir {run} --resume --set search.rounds=2" in error
    with open_run(run) as reader:
        assert "search.rounds=2" in reader.status
    ledger = Ledger.open(run)
    made = [ledger.milestone(name) for name in ("ensembles_fixed", "winner_named", "test_opened", "finished")]
    jobs = {job.stage for job in ledger.jobs()}
    ledger.close()
    assert made == [None] * 4
    assert jobs == {"base-rollouts", "screening"}
    sound = ["--set", "executor.options.fail=none", "--set", "search.rounds=2"]
    assert main(["run", "--run-dir", str(run), "--resume", *sound]) == 0
    assert [name for name, item in records(run).items() if item["winner"]] == ["top-2"]


def test_what_the_gate_rejects_is_not_trained(tmp_path: Path) -> None:
    bad = "import os\ndef reward(prompt, completion, answer):\n    return float(len(os.listdir('/')))\n"
    code, run = run_search(tmp_path, proposer={"options": {"code": bad}}, search={"candidates_per_round": 1})
    assert code == 2
    ledger = Ledger.open(run)
    every = outcomes(parse_config(ledger.fact("config")), ledger)
    trained = {job.subject for job in ledger.jobs("screening")}
    duplicates = [item for round_ in ledger.rounds() for item in round_.unusable]
    ledger.close()
    assert [outcome.status for outcome in every] == ["rejected"]
    assert "os" in every[0].reasons[0]
    assert trained == {UNTRAINED, BASE_ONLY}
    assert [item.reason for item in duplicates] == ["duplicate"]  # round 2 proposed the same code again


def test_a_proposer_that_gives_too_much_is_cut(tmp_path: Path) -> None:
    code, run = run_search(tmp_path, proposer={"options": {"surplus": 2}}, search={"rounds": 1})
    assert code == 0
    ledger = Ledger.open(run)
    reasons = [item.reason for round_ in ledger.rounds() for item in round_.unusable]
    names = [candidate.name for candidate in ledger.candidates()]
    ledger.close()
    assert reasons == ["surplus", "surplus"]
    assert names == ["reward-100", "reward-101"]


def test_selecting_on_test_is_labelled_wherever_numbers_appear(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, run = run_search(tmp_path, "--select-on", "test")
    assert code == 0
    out = capsys.readouterr().out
    assert "selected on the test split itself" in out
    ledger = Ledger.open(run)
    splits = {evaluation.split for evaluation in ledger.evaluations()}
    opened = ledger.milestone("test_opened")
    ledger.close()
    assert splits == {"train", "test"}
    assert opened is not None
    assert "select_on" in opened.detail["why"]
    assert all(item["validation"] is None for item in records(run).values())
    assert "test split" in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("aggregation", ["zscore", "group_normalised"])
@pytest.mark.slow
def test_aggregations_reach_the_finalists(tmp_path: Path, aggregation: str) -> None:
    code, run = run_search(tmp_path, search={"rounds": 1}, finals={"aggregation": aggregation})
    assert code == 0
    ledger = Ledger.open(run)
    finalists = ledger.finalists()
    ledger.close()
    assert {finalist.ensemble.aggregation for finalist in finalists} == {aggregation}
    frozen = {member.mean is not None for finalist in finalists for member in finalist.ensemble.members}
    assert frozen == {aggregation == "zscore"}


def test_status_leaderboard_and_report_read_a_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["status", str(run)]) == 0
    status = capsys.readouterr().out
    assert "finished" in status
    assert "4 screened" in status
    for form in ("table", "md", "csv", "json"):
        assert main(["leaderboard", str(run), "--format", form]) == 0
        assert "top-2" in capsys.readouterr().out
    target = tmp_path / "report.html"
    figures = tmp_path / "figures"
    assert main(["report", str(run), "--out", str(target), "--figures", str(figures)]) == 0
    page = target.read_text(encoding="utf-8")
    assert "reward-101" in page
    assert "McNemar" in page
    assert {"f1-by-round.svg", "forest.png", "pairwise.pdf"} <= {file.name for file in figures.iterdir()}
    capsys.readouterr()
    assert main(["report", str(run), "--out", str(target), "--figures", str(target)]) == 2
    assert "--figures" in capsys.readouterr().err


def test_leaderboard_before_the_finals_shows_the_screenings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, run = run_search(tmp_path, executor={"options": {"interrupt": "retraining"}})
    assert code == 130
    capsys.readouterr()
    assert main(["leaderboard", str(run)]) == 0
    out = capsys.readouterr().out
    assert "reward-101" in out
    assert "ranked by their screenings" in out
    assert main(["status", str(run)]) == 0
    assert "--resume" in capsys.readouterr().out


def test_dry_run_plans_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "search.yaml"
    config.write_text(json.dumps(small_config()), encoding="utf-8")
    assert main(["run", "--config", str(config), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "at most 5 screenings and 14 retrainings" in out
    assert "time: about" in out
    assert "luck: shows with 80 % power a difference of" in out
    assert "raise screening.seeds and finals.seeds" in " ".join(out.split())
    said = " ".join(out.split())
    assert "warning: with 40 validation questions an accuracy near one half is known to ±15 points" in said
    assert [path.name for path in tmp_path.iterdir()] == ["search.yaml"]


@pytest.mark.slow
def test_the_questions_that_there_are_are_told_and_not_those_that_were_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of forty lines, where five hundred were to be asked."""
    for position, split in enumerate(("train", "validation", "test")):
        numbers = range(40 * position, 40 * position + 40)
        lines = [json.dumps({"question": f"What is {n} plus {n}?", "answer": f"{2 * n}"}) for n in numbers]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "validation", "test")}
    code, run = run_search(
        tmp_path,
        task={"name": "jsonl", "options": options},
        screening={"questions": 500},
        finals={"test_questions": 500},
    )
    captured = capsys.readouterr()
    assert code == 0, captured.err
    printed = " ".join(captured.out.split())
    for split in ("validation", "test"):
        assert (
            f"the {split} split of the task 'jsonl' has 40 questions where 500 were to be asked: 40 are used" in printed
        )
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "40 questions of the validation split, greedy" in page
    assert "500" not in page.split('<h2 id="methods"')[-1].split("</section>")[0]


def test_what_a_planned_search_can_show_follows_its_seeds_and_questions() -> None:
    def planned(screening: dict[str, int], finals: dict[str, int]) -> Detectable:
        config = parse_config(small_config(screening=screening, finals=finals))
        return detectable(config, wanted_questions(config))

    # Retrained, the base rewards alone would be a second run of what was screened.
    assert planned({"control_seeds": 1}, {"seeds": 1, "base_only": False}) == Detectable(None, None)
    assert planned({"control_seeds": 1}, {"seeds": 1}).candidate is not None
    three = planned({"control_seeds": 3}, {"seeds": 1})
    more = planned({"control_seeds": 3, "seeds": 3}, {"seeds": 3, "test_questions": 500})
    controls = planned({"control_seeds": 3}, {"seeds": 1, "control_seeds": 3})
    for smaller, larger in (
        (more.candidate, three.candidate),
        (more.finalist, controls.finalist),
        (controls.finalist, three.finalist),
    ):
        assert smaller is not None
        assert larger is not None
        assert 0.05 < smaller < larger
    assert planned({"control_seeds": 3}, {"base_only": False}).finalist is None


@pytest.mark.parametrize(("control_seeds", "told"), [(1, False), (3, True)])
@pytest.mark.slow
def test_a_control_that_is_trained_more_than_once_makes_the_luck_of_training_known(
    control_seeds: int, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Retrained, the base rewards alone would be a second run of what was screened.
    finals = {"seeds": 1, "base_only": False}
    code, run = run_search(tmp_path, screening={"control_seeds": control_seeds}, finals=finals)
    assert code == 0
    printed = " ".join(capsys.readouterr().out.split())
    base = rows(run, f"SELECT seed FROM jobs WHERE stage='screening' AND subject='{BASE_ONLY}'")
    assert len(base) == control_seeds
    once = [item for item in records(run).values() if item["kind"] == "ensemble"]
    assert once
    for item in once:
        assert len(item["validation"]["seeds"]) == 1
        assert item["validation"]["luck"] == ("both" if told else "questions")
        assert (item["validation"]["accuracy_halves"] is not None) == told
    shown = {
        True: "brackets hold new questions and new training seeds",
        False: "brackets hold questions only; training luck unknown",
    }
    assert shown[told] in printed
    assert shown[not told] not in printed
    page = (run / "report.html").read_text(encoding="utf-8")
    assert ("Runs of one recipe differ by a standard deviation of" in page) == told
    assert ("the luck of training is unknown" in page) != told
    if not told:
        opening = page.split("</header>")[0].split("<body")[1].lower()
        assert not any(word in opening for word in (" better", " best ", " differs"))


@pytest.mark.slow
def test_the_base_rewards_alone_are_retrained_more_often_than_the_finalists(tmp_path: Path) -> None:
    code, run = run_search(tmp_path, screening={"control_seeds": 3}, finals={"seeds": 1, "control_seeds": 3})
    assert code == 0
    board = records(run)
    fresh = sorted(retraining_seeds(3, 3))
    assert board[BASE_ONLY]["test"]["seeds"] == fresh
    assert board[BASE_ONLY]["validation"]["seeds"] == fresh
    assert board["top-2"]["test"]["seeds"] == retraining_seeds(3, 1)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "from 6 runs of 1 recipe" in page  # three screenings and three retrainings of equal steps


def test_candidates_and_finalists_stand_with_the_completions_of_their_smallest_seed(
    shown: ReportData, ledger: Ledger
) -> None:
    screening, finals = shown.asked
    assert [(a.stage, a.split) for a in shown.asked] == [("screening", "validation"), ("finals", "test")]
    assert {p.policy for p in screening.policies} >= {c.name for c in shown.candidates if c.scores}
    assert {p.policy for p in finals.policies} == {e.name for e in shown.entries if e.test}
    for found, stage in ((screening, "screening"), (finals, "test")):
        for policy in found.policies:
            own = [e for e in ledger.evaluations() if e.split == found.split and e.seed == policy.seed]
            answers = [ledger.completions(e) for e in own if e.stage in (stage, "screening")]
            assert list(policy.predictions) in answers


def test_questions_of_a_generated_task_have_their_texts_and_gold_answers(shown: ReportData) -> None:
    for asked in shown.asked:
        assert all(question.prompt and question.answer for question in asked.questions)
        assert all(p.id == q.id for p, q in zip(asked.policies[0].predictions, asked.questions, strict=True))


def test_every_kept_rollout_is_there(shown: ReportData, ledger: Ledger) -> None:
    kept = [s for record in ledger.jobs() for s in record.result.get("samples", ())]
    assert [r.completion for r in shown.rollouts] == [s["completion"] for s in kept]
    assert kept


def test_commands_name_the_folder_but_not_where_its_writer_works(shown: ReportData, run: Path) -> None:
    assert shown.run.folder == "run"
    assert str(run.parent) not in render(shown)


def test_two_searches_are_compared_where_both_were_tested_on_the_same_questions(
    run: Path, ledger: Ledger, tmp_path: Path
) -> None:
    config = parse_config(ledger.fact("config"))
    other = tmp_path / "other"
    shutil.copytree(run, other)
    same = beside(config, ledger, other)
    assert same.difference is not None
    assert same.difference.value == 0
    assert same.settings == ()
    assert same.here == same.there
    assert same.here.winner is not None
    theirs = Ledger.open(other, write=True)
    theirs.record_fact("config", {**theirs.fact("config"), "seed": 4})
    theirs.close()
    # The seeds of the other are now others than it was trained with, so it has no winner with answers.
    changed = beside(config, ledger, other)
    assert changed.difference is None
    assert changed.not_compared == "not both have a winner with answers on the test split"
    assert [(pair.name, pair.here, pair.there) for pair in changed.settings] == [("seed", "3", "4")]


@pytest.mark.slow
def test_a_report_shows_another_search_beside_its_own(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "other")
    target = tmp_path / "both.html"
    assert main(["report", str(run), "--out", str(target), "--beside", str(tmp_path / "other")]) == 0
    page = " ".join(target.read_text(encoding="utf-8").split())
    assert "the winner here is at +0.0 points of accuracy" in page
    assert "no difference is shown" in page


def test_a_report_beside_itself_or_nothing_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "both.html")
    assert main(["report", str(run), "--out", target, "--beside", str(run)]) == 2
    assert "is the run itself" in capsys.readouterr().err
    assert main(["report", str(run), "--out", target, "--beside", str(tmp_path)]) == 2
    assert "holds no search" in capsys.readouterr().err


def test_the_live_page_shows_what_a_run_has_come_to(run: Path, ledger: Ledger) -> None:
    parts = recorded_parts(run)
    assert set(parts) == {"state", "ranking", "events", "rounds", "finalists", "cost"}
    assert "<span>finished</span>" in parts["state"]
    for name in (candidate.name for candidate in ledger.candidates()):
        assert name in parts["ranking"]
    for name in (finalist.name for finalist in ledger.finalists()):
        assert name in parts["finalists"]
    assert "test opened" in parts["events"]
    assert "<script" not in "".join(parts.values())
    assert running_parts(run) == {"jobs": ""}
