"""What a run is and what it took: settings, protocol, seconds."""

from __future__ import annotations

from collections.abc import Mapping

from eval.report.data import (
    Protocol,
    RunFacts,
    Setting,
)
from eval.report.text import counted
from search.config.models import SearchConfig
from search.ledger import Ledger
from search.proposers.base import Spending
from trainer.algorithms import algorithm_of


def run_facts(config: SearchConfig, ledger: Ledger, running: bool) -> RunFacts:
    started, finished = ledger.milestone("started"), ledger.milestone("finished")
    opened = ledger.milestone("test_opened")
    spent = Spending.of(ledger.calls())
    sandbox = ledger.fact("sandbox")
    grpo, finals = config.screening.grpo, config.finals
    seeds = counted(finals.seeds, "fresh seed")
    settings = {
        "screening": f"{grpo.steps} GRPO steps of {grpo.prompts_per_step} prompts x {grpo.generations} completions, "
        f"learning rate {grpo.learning_rate:g}, LoRA rank {config.screening.lora.rank}",
        **algorithm_of(config.screening.algorithm).description(config.screening.grpo),
        "screening seeds": str(config.screening.seeds),
        "selection": f"{config.selection_questions} questions of the {config.search.select_on} split, greedy"
        + (", in two passes" if config.second_turn else ""),
        "retraining": f"{config.final_steps} steps, {seeds}, aggregation {finals.aggregation}",
        "test": f"{finals.test_questions} questions",
        "base rewards": ", ".join(config.search.base_rewards),
    }
    return RunFacts(
        name=config.name,
        task=config.task.name,
        base_model=config.base_model,
        selection_split=config.search.select_on,
        config_digest=ledger.fact("config_digest"),
        seed=config.seed,
        state="finished" if finished else "running" if running else "stopped",
        proposer=config.proposer.name,
        feedback=config.search.feedback,
        started=started.at if started else None,
        finished=finished.at if finished else None,
        test_opened=opened.at if opened else None,
        constructed_task=config.task.name == "testbed",
        settings=tuple(Setting(name=name, value=value) for name, value in settings.items()),
        protocol=_protocol(config),
        seconds=_seconds(ledger),
        llm_calls=spent.calls,
        llm_tokens=spent.tokens,
        cost_usd=None if spent.unpriced_calls else spent.cost_usd,
        versions=ledger.fact("versions"),
        hardware=ledger.fact("hardware"),
        gate=f"sandbox level {sandbox['level']}, Python {sandbox['python']}",
    )


def _protocol(config: SearchConfig) -> Protocol:
    grpo, finals, prescreen = config.screening.grpo, config.finals, config.prescreen
    return Protocol(
        steps=grpo.steps,
        prompts_per_step=grpo.prompts_per_step,
        generations=grpo.generations,
        max_completion_tokens=grpo.max_completion_tokens,
        learning_rate=grpo.learning_rate,
        learning_rate_schedule=grpo.learning_rate_schedule,
        temperature=grpo.temperature,
        beta=grpo.beta,
        loss=grpo.loss,
        lora_rank=config.screening.lora.rank,
        lora_alpha=config.screening.lora.alpha,
        base_rewards=config.search.base_rewards,
        screening_seeds=config.screening.seeds,
        selection_questions=config.selection_questions,
        duplicate_correlation=prescreen.duplicate_correlation if prescreen.rejects_duplicates else None,
        final_steps=config.final_steps,
        aggregation=finals.aggregation,
    )


def _seconds(ledger: Ledger) -> dict[str, float]:
    """Wall-clock of all jobs by what they did, added up whether they ran side by side or not."""
    seconds = {
        "propose": sum(item.seconds for item in ledger.rounds()),
        "base policy": 0.0,
        "gate": sum(verdict.seconds for verdict in ledger.verdicts().values()),
    }
    names = {
        "base-rollouts": "base policy",
        "screening": "screen",
        "greedy": "greedy selection",
        "retraining": "retrain",
        "test": "test",
        "suite": "test",
    }
    for job in ledger.jobs():
        name = names[job.stage]
        seconds[name] = seconds.get(name, 0.0) + work(job.result["seconds"])
    return {name: round(value, 1) for name, value in seconds.items()}


def work(seconds: Mapping[str, float]) -> float:
    """Of one job. Generating and scoring are parts of training, and are not counted again."""
    return sum(value for phase, value in seconds.items() if phase not in ("generate", "score"))
