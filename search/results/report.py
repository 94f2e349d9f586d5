"""The leaderboard of a run, and its report with all the data that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any

from eval.report.data import (
    Candidate,
    GateCheck,
    MemberWeight,
    Protocol,
    ReportData,
    Round,
    RunFacts,
    Sample,
    Setting,
    UnusableReply,
)
from eval.report.leaderboard import LeaderboardFormat, format_leaderboard
from eval.report.suites import format_suites
from eval.report.text import counted
from eval.report.transfer import format_transfer
from eval.tasks.base import Task
from rewards_generated.ensemble import Member
from rewards_generated.files import write_whole
from search.config.models import SearchConfig
from search.config.names import UNTRAINED
from search.ledger import Ledger
from search.proposers.base import Spending
from search.results.asked import asked_splits
from search.results.beside import beside
from search.results.entries import baselines, final_entries, pairwise, screened_entries
from search.results.evidence import (
    final_evidence,
    sampled_base,
    screening_evidence,
    unseen_evidence,
)
from search.results.kept import exchanges, rollouts
from search.results.models import proposing_models
from search.results.notes import changes, notes, remarks
from search.results.ranking import Outcome, luck_facts, outcomes
from trainer.algorithms import algorithm_of

REPORT_FILE = "report.html"
SAMPLES_SHOWN = 6


def leaderboard_text(config: SearchConfig, ledger: Ledger, form: LeaderboardFormat) -> str:
    """The finalists; before the winner is named, the candidates screened so far."""
    final = ledger.milestone("winner_named") is not None
    entries = final_entries(config, ledger) if final else screened_entries(config, ledger)
    text = format_leaderboard(entries, form, config.search.select_on)
    if form in ("table", "md"):
        suites = format_suites(entries, form, config.search.select_on)
        text += "".join(f"\n{part}" for part in (format_transfer(entries, form), suites) if part)
        text += "".join(f"\n{note}\n" for note in notes(config, ledger))
    return text


def write_report(
    config: SearchConfig,
    ledger: Ledger,
    target: Path,
    *,
    running: bool,
    task: Task | None = None,
    other: Path | None = None,
) -> Path:
    """One self-contained HTML file. `task`: where it is loaded already, for the texts of its questions. `other`: the
    folder of another search that is to stand beside. Raises UserError if there is none in it."""
    from eval.report.render import render

    write_whole(target, render(report_data(config, ledger, running=running, task=task, other=other)))
    return target


def write_report_figures(config: SearchConfig, ledger: Ledger, folder: Path, *, running: bool) -> list[Path]:
    """The report's figures as files; those that were written."""
    from eval.report.figures.figure import write_figures
    from eval.report.illustrations import figures

    return write_figures(figures(report_data(config, ledger, running=running)), folder)


def report_data(
    config: SearchConfig, ledger: Ledger, *, running: bool, task: Task | None = None, other: Path | None = None
) -> ReportData:
    beside_it = beside(config, ledger, other) if other else None  # first: the folder may be wrong
    every = outcomes(config, ledger)
    return _recorded(
        config,
        ledger,
        every,
        running,
        pairwise=pairwise(config, ledger),
        screening_evidence=screening_evidence(config, ledger),
        final_evidence=final_evidence(config, ledger),
        test_evidence=unseen_evidence(config, ledger),
        base_samples=sampled_base(config, ledger),
        asked=asked_splits(config, ledger, task),
        beside=beside_it,
        exchanges=exchanges(ledger),
        rollouts=rollouts(ledger),
        older=_older(config, every),
        notes=tuple(remarks(config, ledger)),
    )


def live_data(config: SearchConfig, ledger: Ledger, *, running: bool) -> ReportData:
    """What a page over a running search shows: without tests, evidence and texts, which take their time."""
    return _recorded(config, ledger, outcomes(config, ledger), running)


def _recorded(
    config: SearchConfig, ledger: Ledger, every: Sequence[Outcome], running: bool, **further: Any
) -> ReportData:
    return ReportData(
        run=_run_facts(config, ledger, running),
        rounds=tuple(_rounds(ledger)),
        models=tuple(proposing_models(ledger, every)),
        candidates=tuple(_candidate(outcome) for outcome in every),
        baselines=tuple(baselines(config, ledger)),
        entries=tuple(final_entries(config, ledger)),
        luck=luck_facts(config, ledger),
        **further,
    )


def _run_facts(config: SearchConfig, ledger: Ledger, running: bool) -> RunFacts:
    started, finished = ledger.milestone("started"), ledger.milestone("finished")
    opened = ledger.milestone("test_opened")
    spent = Spending.of(ledger.calls())
    sandbox = ledger.fact("sandbox")
    grpo, finals = config.screening.grpo, config.finals
    seeds = counted(finals.seeds, "fresh seed")
    controls = finals.control_runs
    more = f" ({controls} of the base rewards alone)" if finals.base_only and controls > finals.seeds else ""
    screened = config.screening.control_runs
    more_screened = f" ({screened} of the base rewards alone)" if screened > config.screening.seeds else ""
    raced = "".join(
        f", then {stage.seeds} more for the first {stage.share:.0%}" + (" of a round" if position == 0 else " of those")
        for position, stage in enumerate(config.screening.race)
    )
    settings = {
        "screening": f"{grpo.steps} GRPO steps of {grpo.prompts_per_step} prompts x {grpo.generations} completions, "
        f"learning rate {grpo.learning_rate:g}, LoRA rank {config.screening.lora.rank}",
        **algorithm_of(config.screening.algorithm).description(config.screening.grpo),
        "screening seeds": f"{config.screening.seeds}{more_screened}{raced}",
        "selection": f"{_asked(config, ledger):,} questions of the {config.search.select_on} split, greedy"
        + (f", drawn from {config.screening.question_strata} strata" if config.screening.question_strata else "")
        + (", in two passes" if config.second_turn else ""),
        "retraining": f"{config.final_steps} steps, {seeds}{more}, aggregation {finals.aggregation}",
        "test": f"{tested:,} questions"
        if (tested := _tested(ledger))
        else f"sealed; {finals.test_questions:,} questions",
        "base rewards": ", ".join(config.search.base_rewards),
    }
    return RunFacts(
        name=config.name,
        folder=_shown_folder(ledger.folder),
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
        changes=tuple(changes(ledger)),
        protocol=_protocol(config, ledger),
        seconds=_seconds(ledger),
        llm_calls=spent.calls,
        llm_tokens=spent.tokens,
        cost_usd=None if spent.unpriced_calls else spent.cost_usd,
        versions=ledger.fact("versions"),
        hardware=ledger.fact("hardware"),
        gate=f"sandbox level {sandbox['level']}, Python {sandbox['python']}",
    )


def _shown_folder(folder: Path) -> str:
    """As a command may name it: relative to the working folder, if it lies there; else its name, since a report is
    passed on and a path tells of its writer."""
    with suppress(ValueError, OSError):
        return quote(str(folder.absolute().relative_to(Path.cwd())))
    return quote(folder.name)


def _asked(config: SearchConfig, ledger: Ledger) -> int:
    """Questions of the split that ranks: as many as were answered, which a small file makes fewer than configured."""
    answered = ledger.predictions("screening", UNTRAINED, config.search.select_on)
    return max(map(len, answered.values()), default=config.selection_questions)


def _tested(ledger: Ledger) -> int:
    """Questions of the test split that were answered; 0 before it was opened."""
    return max(map(len, ledger.predictions("test", UNTRAINED, "test").values()), default=0)


def _protocol(config: SearchConfig, ledger: Ledger) -> Protocol:
    screening, finals, prescreen = config.screening, config.finals, config.prescreen
    return Protocol(
        **screening.grpo.model_dump(include=set(Protocol.model_fields)),
        lora_rank=screening.lora.rank,
        lora_alpha=screening.lora.alpha,
        base_rewards=config.search.base_rewards,
        screening_seeds=screening.seeds,
        selection_questions=_asked(config, ledger),
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
        "transfer": "transfer",
        "suite": "test",
    }
    for job in ledger.jobs():
        name = names[job.stage]
        seconds[name] = seconds.get(name, 0.0) + _work(job.result["seconds"])
    return {name: round(value, 1) for name, value in seconds.items()}


def _work(seconds: Mapping[str, float]) -> float:
    """Of one job. Generating and scoring are parts of training, and are not counted again."""
    return sum(value for phase, value in seconds.items() if phase not in ("generate", "score"))


def _rounds(ledger: Ledger) -> list[Round]:
    candidates = {candidate.name: candidate.round for candidate in ledger.candidates()}
    seconds: dict[int, float] = {}
    for job in ledger.jobs("screening"):
        if job.subject in candidates:
            number = candidates[job.subject]
            seconds[number] = seconds.get(number, 0.0) + _work(job.result["seconds"])
    rounds = []
    for item in ledger.rounds():
        spent = Spending.of(ledger.calls(item.number))
        rounds.append(
            Round(
                number=item.number,
                requested=item.requested,
                unusable=tuple(UnusableReply(reason=u.reason, detail=u.detail) for u in item.unusable),
                seconds=item.seconds,
                screening_seconds=seconds.get(item.number),
                llm_calls=spent.calls,
                llm_tokens=spent.tokens,
                cost_usd=None if spent.unpriced_calls else spent.cost_usd,
            )
        )
    return rounds


def _older(config: SearchConfig, every: list[Outcome]) -> dict[str, str]:
    """Names of the library's rewards that candidates were made from without having been proposed themselves, in
    whatever format of answers the task may have: it is not asked, since that could run code that the run names."""
    from rewards_generated.answers import ANSWER_FORMATS, read_format
    from rewards_generated.identity import identity
    from rewards_generated.library import load_library

    proposed = {outcome.candidate.identity for outcome in every}
    parents = {parent for outcome in every for parent in outcome.candidate.parents} - proposed
    if not parents:
        return {}
    forms = list(ANSWER_FORMATS.values())
    with suppress(ValueError, TypeError, KeyError):
        forms.append(read_format(config.task.options["answer_format"]))
    known = {identity(item.code): item.name for form in forms for item in load_library(form)}
    return {parent: known[parent] for parent in sorted(parents) if parent in known}


def _candidate(outcome: Outcome) -> Candidate:
    item, verdict, result = outcome.candidate, outcome.verdict, outcome.result
    samples = result["samples"][-SAMPLES_SHOWN:] if result else ()
    return Candidate(
        name=item.name,
        identity=item.identity or "",
        round=item.round,
        status=outcome.status,
        code=item.code,
        family=item.family,
        origin=item.origin,
        description=item.description,
        parents=item.parents,
        checks=tuple(
            GateCheck(name=check.name, passed=check.passed, enforced=check.enforced, reason=check.message)
            for check in (verdict.checks if verdict else ())
        ),
        prescreening=outcome.prescreening,
        failure="; ".join(outcome.reasons) or None,
        scores=outcome.scores,
        rung=outcome.rung,
        rung_scores=outcome.rung_scores,
        firing_rate=outcome.firing_rate,
        weights=_weights(item.members) if item.kind == "reward_set" else (),
        curves=tuple(result["curves"]) if result else (),
        samples=tuple(Sample(**sample) for sample in samples),
        flags=outcome.flags,
    )


def _weights(members: Sequence[Member]) -> tuple[MemberWeight, ...]:
    """None where all are constant."""
    if not any(member.schedule for member in members):
        return ()
    return tuple(MemberWeight(name=item.name, weight=item.weight, schedule=item.schedule) for item in members)
