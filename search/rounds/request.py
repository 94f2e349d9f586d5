"""What a proposer is told: the task, how candidates are judged, and what earlier rounds taught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

from eval.report.data import Scores
from eval.statistics.luck import SeedVariance
from eval.tasks.base import Task
from rewards_generated.rollout import Rollout
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, SECRET, WITHOUT_RESULTS
from search.ledger import Ledger
from search.proposers.base import EarlierRound, Feedback, ProposalRequest, Spending
from search.proposers.question.evidence import Reference, ReferenceScore
from search.results.ranking import control_scores, outcomes, ranked, seed_luck, stopped
from search.rounds.feedback import build_feedback
from search.rounds.likeness import alike
from search.rounds.training import question_kinds, training
from trainer.algorithms import algorithm_of
from trainer.determinism import derived_seed

QUESTION_POOL = 200
"""Train questions from which a proposer may draw its examples."""


def first_request(config: SearchConfig, task: Task, number: int, rollouts: Sequence[Rollout]) -> ProposalRequest:
    """The request of a round that knows of no other; `rollouts` are of the base policy on train questions."""
    settings = config.search
    return ProposalRequest(
        round=number,
        count=settings.candidates_per_round,
        reflection_minimum=settings.reflection_minimum,
        feedback=Feedback(settings.feedback),
        task_description=f"{task.description} {algorithm_of(config.screening.algorithm).note_for_rewards}".rstrip(),
        question_answer_pairs=[(example.question, example.answer) for example in task.examples("train", QUESTION_POOL)],
        rollouts=rollouts,
        seed=derived_seed(config.seed, "proposals", number, bits=31),
        known_identities=frozenset(),
        base_rewards=settings.base_rewards,
        answer_format=task.answer_format,
        worked_solutions=any(rollout.worked_solution for rollout in rollouts),
        proposes=settings.proposes,
        contracts=settings.contracts,
        rejects_duplicates=config.prescreen.rejects_duplicates,
        examples_seed=derived_seed(config.seed, "examples", bits=31),
        reference=_reference(config, rollouts),
    )


def later_request(
    config: SearchConfig, task: Task, ledger: Ledger, number: int, rollouts: Sequence[Rollout]
) -> ProposalRequest:
    """The request of any round of a search, with what its ledger knows of earlier ones; nothing of its own calls."""
    request = first_request(config, task, number, rollouts)
    every = [outcome for outcome in outcomes(config, ledger) if outcome.candidate.round < number]
    scored = ranked(every)
    told = [] if config.search.feedback in WITHOUT_RESULTS else [*scored, *stopped(every)]
    controls, luck = control_scores(config, ledger), seed_luck(config, ledger)
    if config.search.feedback == "independent":
        # As the first round knew it: nothing of its question, the count of rounds and runs included, ever changes.
        request, controls, luck = replace(request, round=1), controls | {BASE_ONLY: None}, None
    feedback = build_feedback(
        config.search.feedback,
        every,
        request.seed,
        flags=config.audit.in_feedback,
        alike=alike([outcome.candidate for outcome in every], ledger.prescreening_scores()),
        training={outcome.candidate.name: training(outcome, config, task) for outcome in told},
        leader_kinds=question_kinds(config, ledger, task, scored[0].candidate.name) if told and scored else (),
    )
    return replace(
        request,
        feedback=feedback,
        secret=ledger.fact(SECRET) or "",
        known_identities=frozenset(outcome.candidate.identity for outcome in every if outcome.candidate.identity),
        reference=_reference(config, rollouts, controls, luck),
        spent=Spending.of(call for before in range(1, number) for call in ledger.calls(before)),
        earlier=[
            EarlierRound(
                ledger.calls(before),
                {item.candidate.name: item.candidate.origin for item in every if item.candidate.round == before},
            )
            for before in range(1, number)
        ],
    )


def _reference(
    config: SearchConfig,
    rollouts: Sequence[Rollout],
    controls: dict[str, Scores | None] | None = None,
    luck: SeedVariance | None = None,
) -> Reference:
    grpo, runs = config.screening.grpo, config.screening.seeds
    names = ("untrained policy", "base rewards only")
    asked = [scores.n for scores in (controls or {}).values() if scores is not None]  # a small file has fewer
    return Reference(
        rounds=config.search.rounds,
        runs=runs,
        steps=grpo.steps,
        prompts_per_step=grpo.prompts_per_step,
        generations=grpo.generations,
        max_completion_tokens=grpo.max_completion_tokens,
        questions=max(asked, default=config.selection_questions),
        scores=tuple(
            _reference_score(name, scores)
            for name, scores in zip(names, (controls or {}).values(), strict=False)
            if scores is not None
        ),
        sampled_accuracy=sum(rollout.correct for rollout in rollouts) / len(rollouts) if rollouts else None,
        temperature=config.search.base_rollouts.temperature,
        deviation=None if luck is None else sqrt(luck.of_runs),
        repeated_runs=0 if luck is None else luck.runs,
        by_luck=None if luck is None else _by_luck(luck, runs),
    )


def _by_luck(luck: SeedVariance, runs: int) -> float:
    """Student's t times the standard error of a difference of two means of so many runs on the same questions."""
    from scipy.special import stdtrit

    return float(stdtrit(luck.freedom, 0.975)) * sqrt(2 * luck.of_runs / runs)


def _reference_score(name: str, scores: Scores) -> ReferenceScore:
    return ReferenceScore(
        name=name,
        f1=scores.f1.value,
        f1_ends=(scores.f1.low, scores.f1.high),
        accuracy=scores.accuracy.value,
        accuracy_ends=(scores.accuracy.low, scores.accuracy.high),
        extraction_rate=scores.extraction_rate.value if scores.extraction_rate else 0.0,
        mean_completion_tokens=scores.mean_completion_tokens or 0.0,
        runs=0 if scores.luck == "untrained" else len(scores.seeds),
        luck_known=scores.luck == "both",
    )
