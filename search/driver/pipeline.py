"""Drives a pipeline for the command line: each stage in a process of its own, a clean stop, and what came out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from eval.report.table import Column, Table
from rewards_generated.errors import UserError
from search.config.source import PRESETS, overlaid, parse_as, preset_names, require_same
from search.session import duration
from trainer.pipeline.description import Pipeline
from trainer.pipeline.result import PipelineResult, Share, StageRecord

PIPELINE_PRESETS = PRESETS / "pipeline"
FAILED = 1


def described(
    file: Path | None, preset: str | None, assignments: Sequence[str], folder: Path, *, resume: bool
) -> Pipeline:
    """The pipeline that the command names; on `resume`, that of the folder. Raises UserError, on `resume` for anything
    given besides that would change it."""
    from trainer.pipeline.run import recorded_pipeline

    if not resume:
        if file is None and preset is None:
            names = ", ".join(preset_names(PIPELINE_PRESETS))
            raise UserError(f"say what to train with a YAML file or --preset ({names})")
        return parse_as(Pipeline, overlaid(preset, file, assignments, {}, PIPELINE_PRESETS))
    recorded = recorded_pipeline(folder)
    before = recorded.model_dump(mode="json")
    named = file is not None or preset is not None
    given = overlaid(preset, file, assignments, {} if named else before, PIPELINE_PRESETS)
    after = parse_as(Pipeline, given).model_dump(mode="json")
    require_same(before, after, str(folder), "a new pipeline in another --to", "description")
    return recorded


def drive_pipeline(pipeline: Pipeline, folder: Path, *, resume: bool) -> int:
    """Runs the pipeline, or what is left of it; returns the exit code. Raises UserError."""
    from search.driver.drive import INTERRUPTED, say, stop_on_termination, terminal
    from search.executors.local import LocalExecutor
    from search.jobs.dispatch import run_jobs
    from search.ledger import driver_lock
    from trainer.pipeline.run import open_pipeline, run_pipeline

    # The driver itself merges adapters; what transformers says of its own plans is not for the user.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    console = terminal()
    _require_start(pipeline)
    open_pipeline(pipeline, folder, resume=resume)
    try:
        with stop_on_termination(), driver_lock(folder):
            say(console, f"pipeline directory: {folder}")
            result = run_pipeline(
                pipeline,
                folder,
                partial(run_jobs, LocalExecutor()),
                resume=True,
                note=partial(say, console),
            )
    except KeyboardInterrupt:
        say(console, f"stopped; continue with: reward-search pipeline --to {folder} --resume")
        return INTERRUPTED
    print_result(result, folder, console)
    return 0 if result.failure is None else FAILED


def _require_start(pipeline: Pipeline) -> None:
    """Raises UserError where the base policy or the sandbox that rewards need cannot be had."""
    from rewards_generated.sandbox import require_strength
    from search.config.checks import base_model_fingerprint

    base_model_fingerprint(pipeline.base_model)
    if pipeline.grpo.tuning != "none":
        require_strength(pipeline.sandbox)


def print_pipeline_plan(pipeline: Pipeline) -> None:
    """What every stage would do, after everything is checked. Writes and trains nothing. Raises UserError."""
    from search.driver.drive import say, terminal
    from trainer.pipeline.run import check

    _require_start(pipeline)
    check(pipeline)
    console, sft, grpo = terminal(), pipeline.sft, pipeline.grpo.settings
    say(console, f"pipeline {pipeline.name}: task {pipeline.task.name}, base model {pipeline.base_model}")
    if "sft" in pipeline.policies:
        rate = f"learning rate {sft.learning_rate:g}"
        say(console, f"sft: {sft.tuning}, {sft.steps} steps of {sft.batch_size} pairs, {rate}")
    if "grpo" in pipeline.policies:
        sampled = grpo.steps * grpo.prompts_per_step * grpo.generations
        paid = ", ".join(f"{name} x {weight:g}" for name, weight in pipeline.grpo.rewards.items())
        say(console, f"grpo: {pipeline.grpo.tuning}, {grpo.steps} steps, {sampled:,} completions; rewards {paid}")
    if stage := pipeline.evaluation:
        asked = [name for name in stage.policies if name in pipeline.policies]
        questions = len(asked) * sum(suite.questions for suite in stage.suites.values())
        say(
            console,
            f"evaluation: at most {questions:,} greedy answers, of {', '.join(asked)} to {len(stage.suites)} suites",
        )


def print_result(result: PipelineResult, folder: Path, console: Console) -> None:
    """What each stage took, how each policy answers each suite, and where the last policy lies."""
    from search.driver.drive import say

    for name, stage in result.stages.items():
        say(console, f"{name}: {_taken(stage)}")
    if result.scores:
        console.print(_answers(result).rich())
    if result.failure is not None:
        say(console, f"failed: {result.failure}")
    if result.policy is not None:
        say(console, f"policy: {folder / 'policy'}")
        start = f"reward-search run --preset testbed --set base_model={folder / 'policy'}"
        say(console, f"a search that starts from it: {start}")


def _taken(stage: StageRecord) -> str:
    if stage.failure is not None:
        return stage.failure
    parts = [f"{stage.tuning}, {stage.steps} steps in {duration(stage.seconds.get('train', 0.0))}"]
    parts += [f"peak memory {kind} {size / 2**20:,.0f} MiB" for kind, size in stage.memory.items()]
    if stage.losses:
        parts.append(f"loss {stage.losses[0]:.3f} -> {stage.losses[1]:.3f}")
    parts += [
        f"{reward.name} fires on {reward.firing_rate:.0%}" for reward in stage.rewards if reward.firing_rate is not None
    ]
    return ", ".join(parts)


def _answers(result: PipelineResult) -> Table:
    columns = Column("suite", "name"), Column("policy", "name")
    figures = map(Column, ("accuracy", "flexible", "answered", "tokens"))
    rows = [
        (
            suite,
            policy,
            _share(scores[suite].accuracy),
            _share(scores[suite].accuracy_flexible),
            f"{scores[suite].extraction_rate.value:.3f}",
            f"{scores[suite].mean_completion_tokens:.1f}",
        )
        for suite in next(iter(result.scores.values()))
        for policy, scores in result.scores.items()
    ]
    return Table((*columns, *figures), tuple(rows), caption="intervals hold for new questions, not for new seeds")


def _share(share: Share) -> str:
    return f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"
