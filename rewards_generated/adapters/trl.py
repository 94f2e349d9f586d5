"""An ensemble as reward functions of TRL, in one line:

trainer = GRPOTrainer(model, reward_funcs=trl_reward_functions(rewards_generated.load("NAME")), ...)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from rewards_generated.adapters.text import completion_text, prompt_text
from rewards_generated.contract import WORKED_SOLUTION
from rewards_generated.ensemble import Ensemble
from rewards_generated.errors import UserError
from rewards_generated.rollout import Sample
from rewards_generated.sandbox.settings import SandboxSettings
from rewards_generated.scorer import EnsembleScorer

TrlRewardFunction = Callable[..., list[float | None]]


def trl_reward_functions(
    ensemble: Ensemble,
    *,
    answer_column: str = "answer",
    generations: int | None = None,
    sandbox: SandboxSettings | None = None,
) -> list[TrlRewardFunction]:
    """`reward_funcs` for TRL's GRPOTrainer: a single function that gives the ensemble's total.

    `answer_column`: the column of the dataset that holds the gold answer. A completion that some member could not
    score gets None, which TRL leaves out of its group. `group_normalised` is refused with UserError: it needs the
    members apart; use `trl_member_functions` and TRL's own `multi_objective_aggregation="normalize_then_sum"`.
    Members that ask for worked solutions get them from the column `worked_solution`. Weights with a schedule follow the
    `trainer_state` that TRL passes.

    Members that see whole groups find them in a batch by prompt, gold answer and worked solution. `generations`: TRL's
    `num_generations`, by which rows of one prompt are cut into groups in their order, and a group that is not whole is
    refused with UserError; None: all rows of one prompt are its group, which UserError refuses where a run has several
    processes, since TRL may then divide a group among them.
    """
    if ensemble.aggregation == "group_normalised":
        raise UserError(
            f"ensemble {ensemble.name!r} aggregates by group_normalised, which TRL does itself: pass "
            "`trl_member_functions(...)` as reward_funcs, the weights as reward_weights, and "
            'multi_objective_aggregation="normalize_then_sum" in GRPOConfig'
        )
    grouped = bool(ensemble.seeing_groups)
    if grouped and generations is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            f"ensemble {ensemble.name!r}: {', '.join(map(repr, ensemble.seeing_groups))} sees whole groups, which this "
            "run may divide among its processes; pass generations=, TRL's num_generations, so that it is noticed"
        )
    scorer = EnsembleScorer(ensemble, sandbox)

    def total(samples: list[Sample], prompts: Sequence[Any], trainer_state: Any) -> list[float | None]:
        groups = _groups(ensemble.name, samples, prompts, generations) if grouped else None
        return scorer.score(samples, groups, _progress(ensemble, trainer_state)).totals

    return [_as_trl(ensemble, total, answer_column)]


def trl_member_functions(
    ensemble: Ensemble,
    *,
    answer_column: str = "answer",
    generations: int | None = None,
    sandbox: SandboxSettings | None = None,
) -> list[TrlRewardFunction]:
    """One function per member, in the ensemble's order; their weights are `GRPOConfig.reward_weights`, which never
    change: UserError for a member with a schedule."""
    if ensemble.scheduled:
        raise UserError(
            f"ensemble {ensemble.name!r}: the weight of {', '.join(map(repr, ensemble.scheduled))} has a schedule, and "
            "TRL's reward_weights are constant; take `trl_reward_functions(...)` with aggregation 'sum' or 'zscore'"
        )
    functions = []
    for member in ensemble.members:
        alone = Ensemble(name=member.name, members=(member.model_copy(update={"weight": 1.0}),))
        functions += trl_reward_functions(alone, answer_column=answer_column, generations=generations, sandbox=sandbox)
    return functions


def _groups(
    name: str, samples: Sequence[Sample], prompts: Sequence[Any], generations: int | None
) -> list[tuple[int, int]]:
    """The group of every row: those of one question, `generations` at a time."""
    seen: dict[Hashable, list[int]] = {}
    for row, (prompt, sample) in enumerate(zip(prompts, samples, strict=True)):
        seen.setdefault((repr(prompt), sample.question), []).append(row)
    groups = [(0, 0)] * len(samples)
    for number, rows in enumerate(seen.values()):
        if generations is not None and len(rows) % generations:
            raise UserError(
                f"ensemble {name!r} sees whole groups, and TRL passed {len(rows)} completions of a prompt where groups "
                f"have {generations}; choose a per-device batch size that num_generations divides"
            )
        for place, row in enumerate(rows):
            groups[row] = number, 0 if generations is None else place // generations
    return groups


def _progress(ensemble: Ensemble, trainer_state: Any) -> float:
    """Share of the run's steps that are done; 0 where no weight depends on it."""
    if not ensemble.scheduled:
        return 0.0
    if trainer_state is None:
        raise UserError(
            f"ensemble {ensemble.name!r}: the weight of {', '.join(map(repr, ensemble.scheduled))} has a schedule, and "
            "this trainer passes no `trainer_state` that says how far the run is; use TRL's GRPOTrainer"
        )
    return float(trainer_state.global_step / max(1, trainer_state.max_steps))


def _as_trl(
    ensemble: Ensemble, score: Callable[[list[Sample], Sequence[Any], Any], list[float | None]], answer_column: str
) -> TrlRewardFunction:
    def reward(
        prompts: Sequence[Any], completions: Sequence[Any], trainer_state: Any = None, **columns: Any
    ) -> list[float | None]:
        if answer_column not in columns:
            raise UserError(f"the dataset has no column {answer_column!r}; name the gold answers' with answer_column=")
        golds = columns[answer_column]
        missing = [row for row, gold in enumerate(golds) if gold is None]
        if missing:
            raise UserError(
                f"the gold answer in column {answer_column!r} of row {missing[0]} of the batch is None; leave such "
                "rows out of the dataset"
            )
        if WORKED_SOLUTION not in columns:
            ensemble.require_worked_solutions(f"give the dataset a column {WORKED_SOLUTION!r}")
        worked = columns.get(WORKED_SOLUTION, [None] * len(golds))
        rows = zip(prompts, completions, golds, worked, strict=True)
        samples = [
            Sample(prompt_text(prompt), completion_text(text), str(gold), how) for prompt, text, gold, how in rows
        ]
        return score(samples, prompts, trainer_state)

    reward.__name__ = ensemble.name
    return reward
