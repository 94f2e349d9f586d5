"""Both layers are scored at the same moment of the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.schedule import Schedule
from rewards_generated.scorer import EnsembleScorer
from tests.trainer.tiny import Sums, training_run
from trainer.algorithms import algorithm_of


def test_a_schedule_has_one_weight_per_step_in_both_layers() -> None:
    fading = Member(name="answer_check", schedule=Schedule(kind="linear", to=0.0))
    ensemble = Ensemble(name="fading", members=(fading,))
    algorithm = {"name": "multilayer", "options": {"corrections": 2, "responses": 1}}
    run = training_run(Path("none"), ensemble=ensemble, algorithm=algorithm, grpo={"steps": 4, "generations": 2})
    scoring: Any = algorithm_of(run.algorithm).scoring(run, EnsembleScorer(ensemble), Sums({}))

    def call(step: int, **columns: Any) -> list[float | None]:
        totals: list[float | None] = scoring.reward(
            completions=[[{"role": "assistant", "content": "<solution>2</solution>"}]] * 2,
            completion_ids=[[1], [1]],
            prompts=[[{"role": "user", "content": "1 + 1"}]] * 2,
            question=["1 + 1"] * 2,
            answer=["2"] * 2,
            worked_solution=["1 + 1 = 2"] * 2,
            trainer_state=SimpleNamespace(global_step=step - 1),
            **columns,
        )
        return totals

    for step, weight in ((1, 1.0), (3, 0.5)):
        assert call(step, layer=[1, 1]) == [3.0 * weight] * 2
        second = call(step, layer=[2, 2], earlier_correct=[False, False], qualified=[True, True])
        assert second == [3.0 * weight] * 2
        assert scoring.curve[step]["layer2"]["rewards"]["answer_check"]["weight"] == weight
    assert {row["worked_solution"] for row in scoring.rows(3)} == {"1 + 1 = 2"}
