"""The jobs of the study: trainings on the right answer alone, and samples of their policies and of the base."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.tasks.base import TaskReference
from rewards_generated.ensemble import Ensemble, Member
from search.config.models import SearchConfig
from search.config.suites import suites_of
from trainer.determinism import derived_seed
from trainer.jobs.evaluate import EvaluateJob, Suite
from trainer.jobs.train import TrainingRun

TILT, STANDARD, FIRST_SCALED, FIRST_PLAIN = "tilt", "standard", "first-scaled", "first-plain"
ARMS = (TILT, STANDARD, FIRST_SCALED, FIRST_PLAIN)
FIRST = (FIRST_SCALED, FIRST_PLAIN)
FIRST_STEPS = 4
LASTING = (TILT, STANDARD)
"""Arms that are trained to their end, and so are sampled on the suites."""

WITHIN = "within"
"""Name of the questions within the distribution: the test split of the task itself."""

RIGHT_ONLY = '''"""1 for the right answer in solution tags, else 0: the binary reward that the theory is about."""

import re

INTEGER = re.compile(r"[+-]?[0-9]{1,12}")


def reward(prompt: str, completion: str, answer: str) -> float:
    blocks = re.findall(r"<solution>([^<]{0,40})</solution>", completion)
    given = INTEGER.fullmatch(blocks[-1].strip()) if blocks else None
    return 1.0 if given is not None and int(given[0]) == int(answer) else 0.0
'''


def training_job(config: SearchConfig, arm: str, seed: int) -> TrainingRun:
    """One arm. The configuration's training is that of `tilt`; the others are GRPO without a KL term."""
    grpo = config.screening.grpo
    if arm != TILT:
        scale = "none" if arm == FIRST_PLAIN else "group"
        grpo = grpo.model_copy(update={"beta": 0.0, "loss": "grpo", "scale_advantages": scale})
    if arm in FIRST:
        grpo = grpo.model_copy(update={"steps": FIRST_STEPS, "learning_rate_schedule": "constant"})
        grpo = grpo.model_copy(update={"warmup_fraction": 0.0})
    return TrainingRun(
        label=f"{arm}, seed {seed}",
        base_model=config.base_model,
        task=config.task,
        ensemble=Ensemble(name="right only", members=(Member(name="right_only", code=RIGHT_ONLY),)),
        lora=config.screening.lora,
        grpo=grpo,
        seed=derived_seed(seed, "reach", bits=31),
        engine=config.engine.pinned(),
        hardware=config.hardware,
        sandbox=config.sandbox,
        failure_rate_limit=config.screening.failure_rate_limit,
    )


def tasks(config: SearchConfig) -> dict[str, tuple[TaskReference, int]]:
    """By name, what is sampled and how many questions of it: the test split, every suite, and its matched controls."""
    found = {WITHIN: (config.task, config.finals.test_questions)}
    for suite in suites_of(config):
        found[suite.name] = (suite.task, config.finals.ood_questions)
        if suite.matched is not None:
            found[matched_name(suite.name)] = (suite.matched, config.finals.ood_questions)
    return found


def matched_name(suite: str) -> str:
    return f"matched controls of {suite}"


def base_sampling_job(config: SearchConfig, name: str) -> EvaluateJob:
    """Both draws of the base in one: twice the samples."""
    job = sampling_job(config, name, "base", (None,))
    return job.model_copy(update={"samples_per_question": 2 * job.samples_per_question})


def sampling_job(
    config: SearchConfig, name: str, draw: str, adapters: Sequence[tuple[str, Path] | None]
) -> EvaluateJob:
    """Samples of one task's test split at the temperature of training; `draw` names the random numbers.

    An adapter is the digest of its training and its folder, None the base.
    """
    task, questions = tasks(config)[name]
    longest = config.screening.grpo.max_completion_tokens
    return EvaluateJob(
        label=f"samples of {name}, {draw}",
        base_model=config.base_model,
        adapters=tuple(str(adapter[1]) if adapter else None for adapter in adapters),
        adapter_digests=tuple(adapter[0] if adapter else None for adapter in adapters),
        suites={"questions": Suite(task=task, questions=questions)},
        max_completion_tokens=longest if name == WITHIN else config.finals.ood_completion_tokens or longest,
        temperature=config.screening.grpo.temperature,
        samples_per_question=config.search.base_rollouts.per_question,
        seed=derived_seed(config.seed, "reach", draw, name, bits=31),
        batch_size=config.screening.evaluation_batch_size,
        engine=config.engine.pinned(),
        hardware=config.hardware,
    )
