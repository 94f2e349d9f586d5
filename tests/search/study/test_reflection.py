"""The reflection study on an instant executor: what is run, what is shared, and what the report makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import pytest

from search.cli import main
from search.config.source import load_config
from search.study.reflection.records import ARMS, FINE_TUNINGS, REWARDS, quarter
from search.study.reflection.study import SUITES, ReflectionStudy
from tests.search.study.pipelines import InstantPipelines, right_answers
from trainer.determinism import derived_seed
from trainer.pipeline.jobs import grpo_job

SEEDS, QUESTIONS = 3, 200


def run_study(folder: Path, *arguments: str, **options: str) -> int:
    fields = [
        "executor.name=tests.search.study.pipelines:InstantPipelines",
        f"executor.options={json.dumps(options)}",
        f"finals.test_questions={QUESTIONS}",
    ]
    given = [word for field in fields for word in ("--set", field)]
    return main(["study", "reflection", "--seeds", str(SEEDS), "--run-dir", str(folder), *given, *arguments])


def record(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    InstantPipelines.ran.clear()
    folder = tmp_path_factory.mktemp("study") / "reflection"
    assert run_study(folder) == 0
    (folder / "ran.json").write_text(json.dumps(InstantPipelines.ran))
    return folder


def accuracy(fine_tuning: str, reward: str, seed: int, suite: str = "in distribution") -> float:
    return right_answers(fine_tuning, reward, derived_seed(seed, "grpo", bits=31), suite, QUESTIONS) / QUESTIONS


def test_every_arm_of_every_seed_is_trained_once_and_fine_tuned_policies_are_shared(study: Path) -> None:
    ran = [tuple(item) for item in json.loads((study / "ran.json").read_text())]
    kinds = [kind for kind, _ in ran]
    assert (kinds.count("fine_tune"), kinds.count("train"), kinds.count("evaluate")) == (
        2 * SEEDS,
        (9 + 1) * SEEDS,
        3 * SEEDS,
    )
    assert len(set(ran)) == len(ran)
    assert set(record(study)["units"]) == {f"seed-{seed}" for seed in range(SEEDS)}


def test_differences_are_of_means_over_the_other_factor(study: Path) -> None:
    families = {family["title"]: family for family in record(study)["families"]}
    assert [family["title"] for family in record(study)["families"] if family["primary"]] == [
        "What is paid for reflection, in distribution",
        "Fine-tuning before GRPO, in distribution",
    ]
    for suite in SUITES:
        rewards = families[f"What is paid for reflection, {suite}"]["comparisons"]
        assert [(item["first"], item["second"]) for item in rewards] == [
            ("reflection", "plain"),
            ("gated", "plain"),
            ("gated", "reflection"),
        ]
        expected = [
            fmean(accuracy(name, "gated", seed, suite) - accuracy(name, "plain", seed, suite) for name in FINE_TUNINGS)
            for seed in range(SEEDS)
        ]
        assert rewards[1]["differences"] == pytest.approx(expected)
        tunings = families[f"Fine-tuning before GRPO, {suite}"]["comparisons"]
        expected = [
            fmean(accuracy("full", reward, seed, suite) - accuracy("none", reward, seed, suite) for reward in REWARDS)
            for seed in range(SEEDS)
        ]
        assert tunings[1]["differences"] == pytest.approx(expected)
    within = families["What is paid for reflection, by fine-tuning, in distribution"]["comparisons"]
    assert (within[3]["first"], within[3]["second"]) == ("lora, gated", "lora, plain")
    assert within[3]["differences"] == pytest.approx(
        [accuracy("lora", "gated", seed) - accuracy("lora", "plain", seed) for seed in range(SEEDS)]
    )


def test_tables_hold_every_arm_its_components_and_the_costs(study: Path) -> None:
    tables = {table["title"]: table for table in record(study)["tables"]}
    arms = {row[0]: row for row in tables["Arms"]["rows"]}
    assert list(arms)[3:] == list(ARMS)
    expected = fmean(accuracy("full", "gated", seed) for seed in range(SEEDS))
    assert arms["full, gated"][2].startswith(f"{expected:.3f} [")
    assert arms["none, before GRPO"][2] == "0.200"
    components = {row[0]: row for row in tables["What the components did in the last quarter of GRPO"]["rows"]}
    # Of eight steps the last two: firing rates 0.7 and 0.8, means 0.35 and 0.4, tokens 37 and 38.
    assert [cell.split()[0] for cell in components["lora, plain"][1:]] == ["0.750"] * 4 + ["0.375", "37.5"]
    rises = {row[0]: row for row in tables["From the third to the last quarter of GRPO"]["rows"]}
    assert [cell.split()[0] for cell in rises["none, gated"][1:]] == ["0.200", "0.100", "0.200", "2.0"]
    cost = {row[0]: row for row in tables["What fine-tuning costs"]["rows"]}
    assert cost["processor seconds"][3].startswith("2.00")
    assert cost["peak resident memory, MiB"][1:3] == ["2048", "1024"]
    assert cost["trained parameters"][3].startswith("10.00")
    grpo = {row[0]: row for row in tables["What GRPO costs"]["rows"]}
    assert grpo["wall-clock seconds"][1:] == ["30.0", "10.0", "3.00"]
    assert grpo["peak resident memory, MiB"][1:] == ["3072", "1024", "3.00"]
    assert grpo["peak GPU memory, MiB"][1:] == ["—", "—", "—"]
    assert (study / "report.html").read_text().count("<svg") >= 2 * 2 + 7


def test_an_interrupted_study_goes_on_with_the_jobs_that_are_left(tmp_path: Path, study: Path) -> None:
    InstantPipelines.ran.clear()
    folder = tmp_path / "again"
    assert run_study(folder, interrupt="reflection-full-plain: grpo") == 130
    before = len(InstantPipelines.ran)
    facts = json.loads((folder / "study.json").read_text())
    facts["config"]["executor"]["options"] = {}  # nobody presses Ctrl-C any more
    (folder / "study.json").write_text(json.dumps(facts))
    assert main(["study", "reflection", "--run-dir", str(folder), "--resume"]) == 0
    assert before > 3
    assert len(InstantPipelines.ran) == 15 * SEEDS
    assert record(folder)["families"] == record(study)["families"]


def test_a_run_without_a_score_is_said_and_its_seed_left_out_of_means(tmp_path: Path) -> None:
    assert run_study(tmp_path / "failed", fail="reflection-lora-gated: grpo") == 0
    found = record(tmp_path / "failed")
    assert any("lora, gated: 20 % of the reward calls failed" in caveat for caveat in found["caveats"])
    rewards = found["families"][0]["comparisons"]
    assert rewards[0]["differences"] != [None] * SEEDS
    assert rewards[1]["differences"] == [None] * SEEDS
    arms = {row[0]: row for row in found["tables"][0]["rows"]}
    assert arms["lora, gated"][1:3] == ["0", "—"]


def test_arms_of_a_seed_share_their_seed_and_seeds_do_not() -> None:
    study = ReflectionStudy("quick", 2, load_config("testbed"))
    jobs = {
        (seed, name, reward): grpo_job(study._pipeline(seed, name, reward), "testbed", None).shared
        for seed in range(2)
        for name in FINE_TUNINGS
        for reward in REWARDS
    }
    assert len({job.seed for job in jobs.values()}) == 2
    assert len({(seed, job.seed) for (seed, _, _), job in jobs.items()}) == 2
    assert len({job.ensemble.identity for job in jobs.values()}) == len(REWARDS)
    names = {tuple(member.name for member in job.ensemble.members) for job in jobs.values()}
    assert len(names) == 1  # every arm measures the same components


def test_quarters_of_a_curve() -> None:
    curves = {"x": [1.0, None, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0], "y": [None, None, 3.0, 4.0]}
    assert [quarter(curves["x"], number) for number in (1, 2, 3, 4)] == [1.0, 3.5, 5.5, 8.0]
    assert [quarter(curves["y"], number) for number in (1, 2, 3, 4)] == [None, None, 3.0, 4.0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "task.name=gsm8k"], "for the task 'testbed' alone"),
        (["--seeds", "1"], "too few seeds"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["study", "reflection", "--run-dir", str(tmp_path / "study"), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
