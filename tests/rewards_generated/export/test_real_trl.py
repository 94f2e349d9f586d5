"""The installed TRL trains with an exported ensemble whose weights have schedules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from eval.tasks.base import Example
from rewards_generated import load
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.rollout import Sample
from rewards_generated.schedule import Schedule
from rewards_generated.scorer import EnsembleScorer
from tests.rewards_generated.export.hosts import load as module_of
from tests.rewards_generated.export.test_scores import export
from tests.trainer.tiny import COUNTS_SO, Sums, write_policy

STEPS = 6
GENERATIONS = 4
MEMBERS = (
    Member(name="format_approximate", schedule=Schedule(kind="linear", to=0.0)),
    Member(name="answer_check", weight=0.5),
    Member(name="counts", code=COUNTS_SO, schedule=Schedule(kind="switch", to=-0.5, at=0.5)),
)


@pytest.mark.slow
@pytest.mark.parametrize("aggregation", ["sum", "zscore"])
def test_trl_pays_our_totals_at_every_step(aggregation: Any, tmp_path: Path) -> None:
    members = tuple(member.model_copy(update={"mean": 0.25, "std": 1.5}) for member in MEMBERS)
    folder = export(Ensemble(name="fading", members=members, aggregation=aggregation), tmp_path / "exported")
    require_our_totals(folder, write_policy(tmp_path / "policy"), tmp_path)


def require_our_totals(
    folder: Path, policy: Path, work: Path, examples: Sequence[Example] | None = None, tokens: int = 8
) -> None:
    """Trains for some steps with the folder's `reward.py`; every total that TRL gets is the one that we give.

    `examples`: questions, those of `Sums` by default. `tokens`: of the longest completion."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    module = module_of(folder / "reward.py")
    seen: list[tuple[int, list[Any], list[float | None]]] = []

    def reward(prompts: Any, completions: Any, trainer_state: Any, **columns: Any) -> list[float | None]:
        (exported,) = module.trl_reward_functions(generations=GENERATIONS)
        found: list[float | None] = exported(prompts, completions, trainer_state=trainer_state, **columns)
        rows = zip(prompts, completions, columns["answer"], strict=True)
        seen.append((trainer_state.global_step, [(p[-1]["content"], c[0]["content"], a) for p, c, a in rows], found))
        return found

    rows = [{"prompt": list(item.prompt), "answer": item.answer} for item in examples or Sums({}).examples("train")]
    arguments = GRPOConfig(
        output_dir=str(work / "out"),
        max_steps=STEPS,
        per_device_train_batch_size=2 * GENERATIONS,
        num_generations=GENERATIONS,
        max_completion_length=tokens,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        seed=3,
    )
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(policy),
        processing_class=AutoTokenizer.from_pretrained(policy),
        reward_funcs=[reward],
        args=arguments,
        train_dataset=Dataset.from_list(rows),
    )
    trainer.train()
    assert [step for step, _, _ in seen] == list(range(STEPS))
    with EnsembleScorer(load(folder)) as scorer:
        for step, samples, found in seen:
            groups = [place // GENERATIONS for place in range(len(samples))]
            ours = scorer.score([Sample(*sample) for sample in samples], groups, step / STEPS).totals
            assert None not in ours
            assert [a - b for a, b in zip(found, ours, strict=True)] == [0.0] * len(ours)  # type: ignore[operator]
    assert len({total for _, _, found in seen for total in found}) > 3
