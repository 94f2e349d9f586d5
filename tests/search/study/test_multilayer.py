"""The study of multi-layer GRPO on an executor that trains nothing: what is run, what is compared, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import pytest

from eval.prediction import Prediction
from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from rewards_generated.errors import UserError
from search.cli import main
from search.study.base import plain
from search.study.drive import build_study
from search.study.multilayer.records import answers_record, sampled_tokens
from search.study.multilayer.report import ARMS
from tests.search.instant import ByKind
from tests.trainer.tiny import training_run
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult, Suite
from trainer.jobs.train import RunResult, TrainingRun

RIGHT = {  # first and second answers right, of 40 questions
    "multilayer": (20, 30),
    "grpo": (18, 17),
    "grpo-longer": (22, 21),
    "best-response": (20, 28),
    "random-response": (20, 19),
    "untrained": (10, 8),
}


class CountingExecutor(ByKind):
    """Gives every arm the answers of `RIGHT`, one more right one in each per seed, and notes what it was asked."""

    name = "counting"
    labels: ClassVar[list[str]] = []
    interrupted: ClassVar[list[str]] = []
    """At jobs of these labels the user presses Ctrl-C, once each."""

    def __init__(self, parallel_jobs: int = 1, job_timeout_seconds: float | None = None, fail: str = "") -> None:
        self.fail = fail

    def evaluate(self, job: EvaluateJob) -> EvaluateResult:
        self.labels.append(job.label)
        names = [Path(adapter).name if adapter else "untrained" for adapter in job.adapters]
        if job.second_turn is None:
            assert job.temperature > 0
            found = [predictions(job, 5, answered=True) for _ in names]
        else:
            found = [two_passes(job, *RIGHT[name]) for name in names]
        return EvaluateResult(digest=job.digest, predictions=tuple({"questions": answers} for answers in found))

    def train(self, job: TrainingRun, place: Path) -> RunResult:
        if job.label in self.interrupted:
            self.interrupted.remove(job.label)
            raise KeyboardInterrupt
        self.labels.append(job.label)
        if self.fail and self.fail in job.label:
            return RunResult(digest=job.digest, failure="training diverged", owner="candidate")
        arm, _, seed = job.label.partition(", seed ")
        assert job.evaluation is not None
        assert job.evaluation.second_turn
        entry: dict[str, Any] = {"accuracy": 0.5, "completion_tokens": 10.0}
        if job.algorithm.name == "multilayer":
            entry |= {"layers": [1, 2], "layer2": {"accuracy": 0.6, "completion_tokens": 20.0}}
        first, second = (count + int(seed) for count in RIGHT[arm])
        return RunResult(
            digest=job.digest,
            adapter=arm,
            curves=tuple({"step": step + 1, **entry} for step in range(job.grpo.steps)),
            predictions=two_passes(job, first, second),
            seconds={"train": 3.0},
        )


def predictions(job: Any, right: int, answered: bool = False) -> tuple[Prediction, ...]:
    """The first `right` questions are answered rightly, the others not at all, or wrongly."""
    if isinstance(job, TrainingRun):
        assert job.evaluation is not None
        asked = Suite(task=job.task, split=job.evaluation.split, questions=job.evaluation.limit)
    else:
        asked = job.suites["questions"]
    found = []
    for place, example in enumerate(build_task(asked.task).examples(asked.split, asked.questions)):
        correct = place < right
        answer = example.answer if correct else "999" if answered else None
        found.append(
            Prediction(
                id=example.id,
                completion="x",
                strict=answer,
                flexible=answer,
                correct=correct,
                correct_flexible=correct,
                completion_tokens=1,
            )
        )
    return tuple(found)


def two_passes(job: Any, first: int, second: int) -> tuple[Prediction, ...]:
    pairs = zip(predictions(job, first), predictions(job, second), strict=True)
    return tuple(after.model_copy(update={"earlier": before}) for before, after in pairs)


def fields(pack: str = "auto", **options: str) -> list[str]:
    given = [
        "executor.name=tests.search.study.test_multilayer:CountingExecutor",
        f"executor.pack={pack}",
        f"executor.options={json.dumps(options)}",
        "task.options={train: 40, validation: 60, test: 80}",
        "screening.questions=40",
        "screening.grpo.steps=6",
    ]
    return [word for field in given for word in ("--set", field)]


def study(folder: Path, *arguments: str, pack: str = "auto", **options: str) -> int:
    command = ["study", "multilayer", "--run-dir", str(folder), "--seeds", "3", *fields(pack, **options), *arguments]
    return main(command)


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("multilayer") / "study"
    CountingExecutor.labels.clear()
    assert study(folder) == 0
    return folder


def test_every_arm_is_trained_once_per_seed(folder: Path) -> None:
    trained = [label for label in CountingExecutor.labels if ", seed " in label]
    assert sorted(trained) == sorted(f"{arm}, seed {seed}" for arm in ARMS for seed in range(3))


def test_comparisons_are_of_paired_accuracies(folder: Path) -> None:
    families = {family["title"]: family["comparisons"] for family in record(folder)["families"]}
    second = [(RIGHT["multilayer"][1] + seed) / 40 for seed in range(3)]

    def expected(arm: str, how: str) -> list[float]:
        place = {"one pass": 0, "two passes": 1}[how]
        return [(RIGHT[arm][place] + seed) / 40 for seed in range(3)]

    for title, arm in (("At as many sampled completions", "grpo-longer"), ("At as many optimizer steps", "grpo")):
        assert [item["second"] for item in families[title]] == [
            f"{arm}, {how}" for how in ("one pass", "two passes", "vote of two")
        ]
        for item in families[title][:2]:
            rival = expected(arm, item["second"].partition(", ")[2])
            wanted = [ours - theirs for ours, theirs in zip(second, rival, strict=True)]
            assert item["differences"] == pytest.approx(wanted)
            assert item["estimate"]["value"] == pytest.approx(fmean(wanted))
    [control] = families["Whether the response matters"]
    assert control["differences"] == pytest.approx([11 / 40] * 3)
    [best] = families["Whether the best response is the one to correct"]
    assert best["differences"] == pytest.approx([2 / 40] * 3)
    gains = families["What the second pass adds"]
    assert [item["estimate"]["value"] for item in gains] == pytest.approx([11 / 40] * 3)


def test_budgets_and_answers_are_told(folder: Path) -> None:
    tables = {table["title"]: {row[0]: row[1:] for row in table["rows"]} for table in record(folder)["tables"]}
    # 6 steps of 8 x 4 completions of 10 tokens, and of 8 x 1 x 4 corrections of 20
    assert tables["What a run spends"]["multilayer"] == ["6", "384", f"{6 * 32 * 30:,}", "3", "0"]
    assert tables["What a run spends"]["grpo"] == ["6", "192", f"{6 * 32 * 10:,}", "3", "0"]
    assert tables["What a run spends"]["grpo-longer"] == ["12", "384", f"{12 * 32 * 10:,}", "3", "0"]
    assert tables["What a run spends"]["best-response"] == ["6", "384", f"{6 * 32 * 30:,}", "3", "0"]
    answers = tables["First and second answers"]
    assert answers["untrained"][1].startswith("0.250 [")
    assert answers["untrained"][2].startswith("0.200 [")
    assert answers["multilayer"][3].startswith("+0.250")
    assert answers["multilayer"][4].startswith("0.250")
    assert answers["grpo"][5].startswith("0.025")
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "That a second layer is worth its completions is not shown here. At as many" in report
    assert "second answers of two layers are not shown to differ from those of ordinary GRPO with one pass" in report
    assert "more tokens than grpo-longer" in report
    assert (folder / "report.html").read_text(encoding="utf-8").count("<svg") >= 3


def test_an_interrupted_study_goes_on_and_says_the_same(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    CountingExecutor.interrupted.append("grpo, seed 1")
    assert study(again, pack="1") == 130
    before = list(CountingExecutor.labels)
    assert main(["study", "multilayer", "--run-dir", str(again), "--resume"]) == 0
    done = CountingExecutor.labels[len(before) :]
    assert not any(label.endswith("seed 0") for label in done)
    assert [item["differences"] for family in record(again)["families"] for item in family["comparisons"]] == [
        item["differences"] for family in record(folder)["families"] for item in family["comparisons"]
    ]


def test_a_failed_run_has_no_figures_and_is_counted(tmp_path: Path) -> None:
    assert study(tmp_path / "study", fail="grpo-longer, seed 1") == 0
    found = record(tmp_path / "study")
    primary = found["families"][0]["comparisons"][0]
    assert primary["differences"][1] is None
    assert primary["estimate"]["n"] == 2
    assert any("1 run could not be scored" in caveat for caveat in found["caveats"])


def test_a_vote_of_two_is_the_greedy_answer_unless_only_the_other_can_be_read() -> None:
    task = TaskReference(name="testbed", options={"train": 8, "validation": 8, "test": 8})
    job = EvaluateJob(
        label="x",
        base_model="testbed",
        suites={"questions": Suite(task=task, split="validation", questions=4)},
        max_completion_tokens=8,
    )
    greedy = two_passes(job, 1, 0)  # right, then three that cannot be read
    sampled = predictions(job, 2, answered=True)  # right, right, wrong, wrong
    found = answers_record(greedy, [sampled[2], *sampled[1:]])
    assert plain(found) == {"first": "1000", "second": "0000", "vote": "1100"}


def test_tokens_are_counted_by_layer_in_alternating_steps() -> None:
    multilayer = {"corrections": 3, "responses": 1, "updates": "alternating"}
    algorithm = {"name": "multilayer", "options": multilayer}
    job = training_run(Path("/policy"), algorithm=algorithm)  # 2 x 4, and 2 x 1 x 3
    first = {"layers": [1], "completion_tokens": 5.0}
    second = {"layers": [2], "completion_tokens": 5.0, "layer2": {"completion_tokens": 7.0}}
    assert sampled_tokens(job, [first, second]) == 8 * 5 + 6 * 7


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("screening.algorithm=grpo", "needs a second layer"),
        ("screening.algorithm.options.corrections=0", "needs a second layer"),
        ("screening.algorithm.options.control=random_response", "an arm of the study varies"),
        ("screening.algorithm.options.select=best", "an arm of the study varies"),
        ("screening.evaluation_turns=1", "asks every policy twice"),
        ("search.select_on=test", "reads the validation split"),
    ],
)
def test_configurations_without_an_answer_are_refused(field: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build_study("multilayer", "quick", None, [field])


def test_a_plan_states_arms_and_costs() -> None:
    study = build_study("multilayer", "full", None, [])
    costs = [unit.cost for unit in study.units()]
    grpo = study.config.screening.grpo
    assert sum(cost.trainings for cost in costs) == 5 * study.seeds
    assert sum(cost.steps for cost in costs) == study.seeds * (4 * grpo.steps + 2 * grpo.steps)
    assert any("exact test" in sentence for sentence in study.outline)


def test_the_best_response_gets_all_corrections_of_its_question() -> None:
    study = build_study("multilayer", "quick", None, ["screening.algorithm.options={corrections: 2, responses: 3}"])
    options = study._config("best-response", 0).screening.algorithm.options
    assert options == {"corrections": 6, "responses": 1, "select": "best"}
    assert study.completions("best-response") == study.completions("multilayer")
