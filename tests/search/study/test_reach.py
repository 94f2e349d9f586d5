"""The study of reach on simulated policies whose true tilt is known: as the theory has it, but for the suite of depth,
on which they gain nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from eval.prediction import Prediction
from eval.statistics.tilt import tilted
from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.rollout import Sample
from rewards_generated.scorer import EnsembleScorer
from search.cli import main
from search.config.source import load_config
from search.study.drive import build_study
from search.study.reach.jobs import ARMS, FIRST_PLAIN, FIRST_SCALED, RIGHT_ONLY, STANDARD, TILT, tasks, training_job
from search.study.reach.study import ReachStudy
from tests.search.instant import ByKind
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.train import RunResult, TrainingRun

BETA = 0.5
SMALL = (
    "executor={name: tests.search.study.test_reach:SimulatedExecutor, options: {}}",
    "executor.pack=1",
    f"screening.grpo.beta={BETA}",
    "screening.grpo.steps=16",
    "finals.test_questions=150",
    "finals.ood_questions=80",
    "finals.ood=[testbed-depth, testbed-tokens]",
)


class SimulatedExecutor(ByKind):
    """Trains by writing down a tilt, and samples from base masses that the question alone decides."""

    name = "simulated"

    def __init__(self, parallel_jobs: int = 1, job_timeout_seconds: float | None = None, fail: str = "") -> None:
        self.fail = fail

    def train(self, run: TrainingRun, place: Path) -> RunResult:
        if self.fail and self.fail in run.label:
            return RunResult(digest=run.digest, failure="it diverged", owner="candidate")
        few = run.grpo.steps < 16
        tilt = 1 / run.grpo.beta if run.grpo.beta else 0.4 if few else 3.0
        (place / "adapter").mkdir(parents=True, exist_ok=True)
        (place / "adapter" / "tilt.json").write_text(json.dumps(tilt))
        share = 0.5 + 0.02 * (run.seed % 5) / 5
        curve = [{"step": n, "accuracy": share * (1 - 0.8**n), "kl": 0.01} for n in range(1, run.grpo.steps + 1)]
        return RunResult(digest=run.digest, adapter="adapter", curves=tuple(curve))

    def evaluate(self, job: EvaluateJob) -> EvaluateResult:
        answers = tuple({"questions": _answers(job, place)} for place in range(len(job.adapters)))
        return EvaluateResult(digest=job.digest, predictions=answers)


def _answers(job: EvaluateJob, place: int) -> tuple[Prediction, ...]:
    adapter, suite = job.adapters[place], job.suites["questions"]
    tilt = 0.0 if adapter is None else json.loads((Path(adapter) / "tilt.json").read_text())
    if suite.task.name == "testbed-depth":
        tilt = 0.0
    found = []
    for number in range(suite.questions):
        mass = random.Random(f"{suite.task.name} {number}").betavariate(0.6, 1.4)
        draws = random.Random(f"{job.digest} {place} {number}")
        for _ in range(job.samples_per_question):
            right = draws.random() < float(tilted(mass, tilt))
            found.append(
                Prediction.model_construct(
                    id=str(number),
                    completion="",
                    strict=None,
                    flexible=None,
                    correct=right,
                    correct_flexible=right,
                    completion_tokens=1,
                )
            )
    return tuple(found)


def assignments(*more: str) -> list[str]:
    return [part for field in (*SMALL, *more) for part in ("--set", field)]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("reach") / "study"
    assert main(["study", "reach", "--run-dir", str(folder), "--seeds", "3", *assignments()]) == 0
    assert "Gain" in (folder / "report.html").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


def family(record: dict[str, Any], title: str) -> dict[str, dict[str, Any]]:
    """Comparisons by their first name."""
    found = next(item for item in record["families"] if item["title"] == title)
    return {comparison["first"]: comparison for comparison in found["comparisons"]}


def table(record: dict[str, Any], title: str) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in next(item for item in record["tables"] if item["title"] == title)["rows"]}


def test_the_true_tilt_is_found(record: dict[str, Any]) -> None:
    fitted = table(record, "The tilt that explains the gain")
    assert float(fitted["within"][1].split()[0]) == pytest.approx(3.0, abs=0.4)
    assert float(fitted["within"][0].split()[0]) == pytest.approx(1 / BETA, abs=0.3)
    assert family(record, "The gain curve")["fitted"]["differences"][0] == pytest.approx(0, abs=0.4)


def test_a_suite_without_gain_is_told_from_one_that_gains_as_its_base_mass_allows(record: dict[str, Any]) -> None:
    for title in (
        "Outside pretraining, at equal base mass (standard)",
        "Outside pretraining, at equal base mass (tilt)",
    ):
        compared = family(record, title)
        assert compared["testbed-depth"]["verdict"] == "lower"
        assert abs(compared["testbed-tokens"]["estimate"]["value"]) < 0.06
    assert family(record, "Outside pretraining, against matched controls (tilt)")["testbed-depth"]["verdict"] == "lower"
    claim, found, *_ = record["headline"].split(". ")
    assert claim == "That GRPO gains less outside pretraining than within it held here on 1 of 2 suites"
    assert "testbed-depth" in found
    primary = [item["title"] for item in record["families"] if item["primary"]]
    assert primary == ["Outside pretraining, at equal base mass (standard)"]


def test_intervals_for_new_questions_are_wider_and_decide_the_headline(record: dict[str, Any]) -> None:
    rows = table(record, "Gain outside minus gain within, for new questions too")
    compared = family(record, "Outside pretraining, at equal base mass (standard)")
    for name in ("testbed-depth", "testbed-tokens"):
        value, low, high = (float(part.strip("[],").replace("−", "-")) for part in rows[name][0].split())
        assert value == pytest.approx(compared[name]["estimate"]["value"], abs=1e-3)
        assert low < value < high
        assert (high < 0) == (name == "testbed-depth")
    assert "Not decided: testbed-tokens" in record["headline"]


def test_what_reweighting_explains_is_not_taken_for_new_support(record: dict[str, Any]) -> None:
    """The simulated policies solve many problems that their base did not solve: more than it does again, and no more
    than it would reweighted."""
    rows = table(record, "Problems without a right answer in 16 samples of the base")
    unsolved, again, _, _, observed, expected = rows["within"][:6] if len(rows["within"]) > 5 else rows["within"]
    assert int(unsolved) > 10
    share = {name: float(cell.split()[0]) for name, cell in (("again", again), ("observed", observed))}
    assert share["observed"] > share["again"] + 0.1
    assert float(expected.split()[0]) == pytest.approx(share["observed"], abs=0.15)


def test_saturation_is_seen(record: dict[str, Any]) -> None:
    assert family(record, "Saturation within the distribution")["first half, tilt"]["verdict"] == "higher"


def test_the_report_says_when_it_is_over_and_keeps_every_count(record: dict[str, Any]) -> None:
    assert record["complete"]
    base = record["units"]["base"]
    assert set(base["first"]) == {
        "within",
        "testbed-depth",
        "matched controls of testbed-depth",
        "testbed-tokens",
        "matched controls of testbed-tokens",
    }
    assert len(base["first"]["within"]) == len(base["second"]["within"]) == 150
    assert base["first"]["within"] != base["second"]["within"]
    assert all(0 <= count <= 16 for count in base["first"]["within"])


@pytest.mark.slow
def test_a_training_that_failed_leaves_its_seed_out(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    fail = "executor.options={fail: 'standard, seed 1'}"
    assert main(["study", "reach", "--run-dir", str(folder), "--seeds", "2", *assignments(fail)]) == 0
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    found = family(record, "Outside pretraining, at equal base mass (standard)")["testbed-depth"]
    assert found["differences"][1] is None
    assert found["verdict"] == "open"
    assert "it diverged" in table(record, "Had the trainings converged?")["standard"][-1]


def config(*fields: str) -> Any:
    _, own = ReachStudy.presets["quick"]
    return load_config("testbed", None, [*own, *fields])


def test_the_arms_differ_in_what_they_say_they_do() -> None:
    jobs = {arm: training_job(config(), arm, 3) for arm in ARMS}
    tilt = jobs[TILT].grpo
    assert (tilt.beta, tilt.scale_advantages, tilt.loss) == (0.5, "none", "dr_grpo")
    assert (jobs[STANDARD].grpo.beta, jobs[STANDARD].grpo.scale_advantages) == (0.0, "group")
    assert jobs[STANDARD].grpo.steps == tilt.steps > jobs[FIRST_SCALED].grpo.steps
    first = jobs[FIRST_SCALED].grpo
    assert jobs[FIRST_PLAIN].grpo == first.model_copy(update={"scale_advantages": "none"})
    assert len({job.seed for job in jobs.values()}) == 1
    assert jobs[TILT].seed != training_job(config(), TILT, 4).seed


def test_the_reward_is_the_tasks_own_judgement() -> None:
    task = build_task(TaskReference(name="testbed"))
    completions = [
        "<thinking>2 + 3 = 5.</thinking><solution>5</solution>",
        "<solution>4</solution><solution> 5 </solution>",
        "<solution>5</solution><solution>4</solution>",
        "The answer is 5.",
        "<solution>5.</solution>",
        "<solution>-5</solution>",
        "<solution>05</solution>",
        "",
    ]
    with EnsembleScorer(Ensemble(name="right", members=(Member(name="right", code=RIGHT_ONLY),))) as scorer:
        scores = scorer.score([Sample("2 + 3", completion, "5") for completion in completions]).totals
    strict = [task.extract(completion).strict for completion in completions]
    assert scores == [float(answer is not None and task.equal(answer, "5")) for answer in strict]


def test_all_suites_and_their_matched_are_asked_by_default() -> None:
    names = list(tasks(config()))
    assert names[0] == "within"
    assert len(names) == 11
    study = build_study("reach", "quick", None, [])
    assert [unit.name for unit in study.units()] == ["base", "seed-0", "seed-1"]
    assert sum(unit.cost.trainings for unit in study.units()) == 8


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("screening.grpo.beta=0", "beta"),
        ("screening.grpo.scale_advantages=group", "scale_advantages"),
        ("search.base_rollouts.per_question=1", "per_question"),
        ("finals.ood=[]", r"finals\.ood"),
        ("task.name=gsm8k", r"task\.name"),
        ("trackers=[wandb]", "trackers"),
    ],
)
def test_settings_without_an_answer_are_refused(field: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_study("reach", "quick", None, [field])


@pytest.mark.slow
def test_the_study_runs_on_real_jobs(tmp_path: Path) -> None:
    fields = (
        "screening.grpo.steps=2",
        "screening.grpo.prompts_per_step=2",
        "screening.grpo.generations=4",
        "screening.grpo.max_completion_tokens=48",
        "search.base_rollouts.per_question=2",
        "finals.test_questions=8",
        "finals.ood_questions=4",
        "finals.ood_completion_tokens=48",
        "finals.ood=[testbed-tokens]",
    )
    given = [part for field in fields for part in ("--set", field)]
    assert main(["study", "reach", "--run-dir", str(tmp_path / "study"), "--seeds", "2", *given]) == 0
    record = json.loads((tmp_path / "study" / "results.json").read_text(encoding="utf-8"))
    for run in record["units"]["runs"]:
        assert {arm["failure"] for arm in run["arms"].values()} == {None}
        assert len(run["arms"][TILT]["right"]["matched controls of testbed-tokens"]) == 4
        assert all(kl is not None for kl in run["arms"][TILT]["kl"])
        assert set(run["arms"][STANDARD]["kl"]) == {None}
