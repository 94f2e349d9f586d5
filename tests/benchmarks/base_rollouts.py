"""Rollouts of the testbed's base policy as a search makes them, and rewards scored on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from eval.prescreener import score_rollouts
from eval.similarity import RewardProfile
from rewards_generated.rollout import Rollout
from search.config.checks import base_model_fingerprint, checked_task
from search.config.models import SearchConfig
from search.config.source import load_config
from search.jobs.descriptions import base_rollouts_job
from search.rounds.base_policy import rollouts_of
from search.rounds.prescreen import configured
from trainer.jobs.evaluate import EvaluateResult
from trainer.jobs.folder import JOB_FILE, RESULT_FILE, write_model
from trainer.jobs.process import run


def testbed_rollouts(folder: Path) -> tuple[SearchConfig, list[Rollout]]:
    """Those that the `testbed` preset would use; kept in `folder`, and made anew if policy or settings changed."""
    config = load_config("testbed")
    task = checked_task(config)
    job = base_rollouts_job(config)
    work = folder / f"{job.digest[:12]}-{base_model_fingerprint(config.base_model)[:12]}"
    if not (work / RESULT_FILE).is_file():
        work.mkdir(parents=True, exist_ok=True)
        write_model(work / JOB_FILE, job)
        run(work)
    result = EvaluateResult.model_validate_json((work / RESULT_FILE).read_text())
    return config, rollouts_of(task, result.predictions[0]["train"])


def scores_of(config: SearchConfig, codes: Mapping[str, str], rollouts: list[Rollout]) -> dict[str, list[float | None]]:
    return {name: score_rollouts(name, code, rollouts, config.sandbox) for name, code in codes.items()}


def profiles_of(
    config: SearchConfig, scores: Mapping[str, list[float | None]], rollouts: list[Rollout]
) -> list[RewardProfile]:
    prescreener = configured(config, rollouts)
    return [prescreener.profile(name, values) for name, values in scores.items()]
