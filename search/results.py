"""The results of a run, read from its ledger: leaderboard entries, pairwise tests, and the data of the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from eval.report.data import (
    Candidate,
    Entry,
    GateCheck,
    PairwiseTable,
    Protocol,
    ReportData,
    Round,
    RunFacts,
    Sample,
    Setting,
    UnusableReply,
)
from eval.report.leaderboard import LeaderboardFormat, format_leaderboard
from eval.report.scores import compare_runs, score_runs, validation_minus_test
from eval.report.suites import format_suites
from eval.report.text import counted, joined
from search.config import SearchConfig
from search.ensembles import is_random_draw
from search.evidence import (
    ENSEMBLES,
    families,
    final_evidence,
    final_runs,
    sampled_base,
    screening_evidence,
    unseen_evidence,
)
from search.greedy import SELECTED
from search.jobs import BASE_ONLY, UNTRAINED
from search.ledger import Finalist, Ledger
from search.proposers.base import Spending
from search.seeds import retraining_seeds
from search.standings import Standing, complete_scores, control_scores, ranked, standings, stopped
from search.suites import scores_on_suites
from search.two_pass import two_pass_notes

SAMPLES_SHOWN = 6
APART = ("screened", "stopped")
"""Statuses with scores of some kind, each listed in its own place."""


def leaderboard_text(config: SearchConfig, ledger: Ledger, form: LeaderboardFormat) -> str:
    """The finalists; before the winner is named, the candidates screened so far."""
    final = ledger.milestone("winner_named") is not None
    entries = final_entries(config, ledger) if final else screened_entries(config, ledger)
    text = format_leaderboard(entries, form, config.search.select_on)
    if form in ("table", "md"):
        suites = format_suites(entries, form, config.search.select_on)
        text += f"\n{suites}" if suites else ""
        text += "".join(f"\n{note}\n" for note in notes(config, ledger))
    return text


def write_report(config: SearchConfig, ledger: Ledger, target: Path, *, running: bool) -> Path:
    """One self-contained HTML file, written by atomic rename."""
    from eval.report.render import render

    temporary = target.with_name(f".{target.name}.partial")
    temporary.write_text(render(report_data(config, ledger, running=running)), encoding="utf-8")
    temporary.replace(target)
    return target


def write_report_figures(config: SearchConfig, ledger: Ledger, folder: Path, *, running: bool) -> list[Path]:
    """The report's figures as files; those that were written."""
    from eval.report.figure_files import write_figures

    return write_figures(report_data(config, ledger, running=running), folder)


def report_data(config: SearchConfig, ledger: Ledger, *, running: bool) -> ReportData:
    every = standings(config, ledger)
    return ReportData(
        run=_facts(config, ledger, running),
        rounds=tuple(_rounds(ledger)),
        candidates=tuple(_candidate(standing) for standing in every),
        baselines=tuple(baselines(config, ledger)),
        entries=tuple(final_entries(config, ledger)),
        pairwise=pairwise(config, ledger),
        screening_evidence=screening_evidence(config, ledger),
        final_evidence=final_evidence(config, ledger),
        test_evidence=unseen_evidence(config, ledger),
        base_samples=sampled_base(config, ledger),
        older=_older(every),
        notes=tuple(remarks(config, ledger)),
    )


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
                unusable=tuple(
                    UnusableReply(reason=u.reason, detail=u.detail, excerpt=u.excerpt) for u in item.unusable
                ),
                seconds=item.seconds,
                screening_seconds=seconds.get(item.number),
                llm_calls=spent.calls,
                llm_tokens=spent.tokens,
                cost_usd=None if spent.unpriced_calls else spent.cost_usd,
            )
        )
    return rounds


def _older(every: list[Standing]) -> dict[str, str]:
    """Names of the library's rewards that candidates were made from without having been proposed themselves."""
    from rewards_generated.identity import identity
    from rewards_generated.library import load_library

    proposed = {standing.candidate.identity for standing in every}
    parents = {parent for standing in every for parent in standing.candidate.parents} - proposed
    known = {identity(item.code): item.name for item in load_library()} if parents else {}
    return {parent: known[parent] for parent in sorted(parents) if parent in known}


def final_entries(config: SearchConfig, ledger: Ledger) -> list[Entry]:
    """The retrained finalists and the untrained base; empty until the ensembles are fixed."""
    finalists = ledger.finalists()
    if not finalists:
        return []
    winner = ledger.milestone("winner_named")
    named = winner.detail["name"] if winner else None
    return [
        _untrained(config, ledger),
        *(_final_entry(config, ledger, finalist, finalist.name == named) for finalist in finalists),
    ]


def screened_entries(config: SearchConfig, ledger: Ledger) -> list[Entry]:
    """The candidates as the screenings rank them, and the controls."""
    select = config.search.select_on
    every = standings(config, ledger)
    entries = [
        Entry(
            name=standing.candidate.name,
            kind="single",
            members=(standing.candidate.name,),
            steps=config.screening.grpo.steps,
            failure="; ".join(standing.reasons) or None,
            **{select: standing.scores},
        )
        for standing in (*ranked(every), *(unscored for unscored in every if unscored.status not in APART))
    ]
    entries += [
        Entry(
            name=standing.candidate.name,
            kind="single",
            members=(standing.candidate.name,),
            steps=standing.rung,
            listed_apart=f"stopped after {standing.rung} of {config.screening.grpo.steps} steps",
            **{select: standing.rung_scores},
        )
        for standing in stopped(every)
    ]
    return [*baselines(config, ledger), *entries]


def baselines(config: SearchConfig, ledger: Ledger) -> list[Entry]:
    scores = control_scores(config, ledger)
    select = config.search.select_on
    return [
        Entry(name=UNTRAINED, kind="control", control="untrained base", **{select: scores[UNTRAINED]}),
        Entry(
            name=BASE_ONLY,
            kind="control",
            control="base rewards only",
            steps=config.screening.grpo.steps,
            **{select: scores[BASE_ONLY]},
        ),
    ]


def pairwise(config: SearchConfig, ledger: Ledger) -> PairwiseTable | None:
    """McNemar's test between all scored finalists, in declared families: on the test split once it is open, else on
    validation."""
    select = config.search.select_on
    split: Literal["validation", "test"] = "test" if ledger.milestone("test_opened") else "validation"
    runs = final_runs(config, ledger, ledger.finalists(), split)
    named = ledger.milestone("winner_named")
    declared = families([f for f in ledger.finalists() if f.name in runs], named.detail["name"] if named else None)
    ensembles = list(dict.fromkeys(name for pair in declared.get(ENSEMBLES, []) for name in pair))
    table = compare_runs(
        runs, split, config.finals.equivalence_margin, families=declared, cochran_over=ensembles or None
    )
    if table is None:
        return None
    counts = joined([f"{name} ({len(pairs)})" for name, pairs in declared.items()])
    note = f"Each family of pairs is corrected by itself: {counts}."
    if split == select and named and named.detail["name"]:
        note += (
            f" The winner was picked on this split, so what {named.detail['name']} is ahead of others is optimistic."
        )
    return table.model_copy(update={"note": note})


def notes(config: SearchConfig, ledger: Ledger) -> list[str]:
    """What must be said beside the figures: how winner and test split were chosen and opened, then the remarks."""
    said = []
    if config.search.select_on == "test":
        said.append(
            "Candidates and winner were selected on the test split itself (select_on: test), as the paper does: "
            "the winner's figures are optimistic."
        )
    winner = ledger.milestone("winner_named")
    opened = ledger.milestone("test_opened")
    if opened and winner and winner.detail["name"] and config.search.select_on == "validation":
        said.append(
            f"{winner.detail['name']} was named the winner on validation at {winner.at:%Y-%m-%d %H:%M:%S} UTC; "
            f"the test split was opened once, after that, at {opened.at:%H:%M:%S} UTC."
        )
    return [*said, *remarks(config, ledger)]


def remarks(config: SearchConfig, ledger: Ledger) -> list[str]:
    """What the report does not see from its data."""
    said = two_pass_notes(config, ledger)
    winner = ledger.milestone("winner_named")
    if winner and winner.detail["name"] is None:
        said.append("No ensemble was scored, so there is no winner.")
    ahead = controls_ahead(config, ledger)
    if winner and ahead:
        said.append(
            f"On {config.search.select_on} {', '.join(ahead)} {'scores' if len(ahead) == 1 else 'score'} at least as "
            f"high as the named winner {winner.detail['name']}: the search has not been shown to help."
        )
    if winner is None:
        said.append("The winner is not named yet: candidates are ranked by their screenings, without retraining.")
    if selected := ledger.milestone(SELECTED):
        said.append(greedy_note(config, selected.detail))
    if ledger.milestone("ensembles_fixed"):
        missing = sorted(set(config.finals.ensembles) - {finalist.name for finalist in ledger.finalists()})
        if missing:
            said.append(f"Not formed, for lack of scored candidates that qualify: {', '.join(missing)}.")
    wanted = config.finals.random_controls
    drawn = sum(is_random_draw(finalist) for finalist in ledger.finalists())
    if ledger.milestone("controls_fixed") and drawn < wanted.first_round + wanted.pool:
        said.append(
            f"{drawn} of {wanted.first_round + wanted.pool} random draws were possible: there were too few scored "
            "candidates for more sets of the winner's size."
        )
    return said


def greedy_note(config: SearchConfig, selected: Mapping[str, Any]) -> str:
    """What the selection of `greedy` took, which no other ensemble had, and what it tried last."""
    grown = [
        f"{step['added']} ({step['tried'][step['added']]:.3f})"
        for step in selected["path"]
        if step["added"] is not None
    ]
    last = selected["path"][-1] if selected["path"] else {"tried": {}, "added": None}
    ended = ""
    if grown and last["added"] is None:
        ended = f"; of {', '.join(last['tried'])} none then gained {config.finals.greedy.least_gain:.3f} of accuracy"
    return (
        f"The members of greedy were chosen by {selected['runs']} short training runs of {config.greedy_steps} steps, "
        f"ranked on {config.search.select_on}, which no other ensemble had: "
        f"{', then '.join(grown) or 'none could be scored'}{ended}."
    )


def controls_ahead(config: SearchConfig, ledger: Ledger) -> list[str]:
    """Names of the controls whose F1 on the split that ranks is at least the winner's."""
    scored = [(entry, getattr(entry, config.search.select_on)) for entry in final_entries(config, ledger)]
    best = next((scores.f1.value for entry, scores in scored if entry.winner and scores), None)
    if best is None:
        return []
    return [entry.name for entry, scores in scored if entry.kind == "control" and scores and scores.f1.value >= best]


def _untrained(config: SearchConfig, ledger: Ledger) -> Entry:
    on_test = ledger.predictions("test", UNTRAINED, "test")
    tested = score_runs(on_test)
    selected = control_scores(config, ledger)[UNTRAINED]
    by_split = (
        {"validation": selected, "test": tested} if config.search.select_on == "validation" else {"test": selected}
    )
    drop = None
    if config.search.select_on == "validation":
        # One policy without a training seed: the ledger's seeds are those of the two evaluations.
        on_validation = ledger.predictions("screening", UNTRAINED, "validation")
        drop = validation_minus_test(dict(enumerate(on_validation.values())), dict(enumerate(on_test.values())))
    return Entry(
        name=UNTRAINED,
        kind="control",
        control="untrained base",
        validation_minus_test=drop,
        suites=scores_on_suites(config, ledger, UNTRAINED),
        **by_split,
    )


def _final_entry(config: SearchConfig, ledger: Ledger, finalist: Finalist, winner: bool) -> Entry:
    trained = finalist.same_as or finalist.name
    seeds = retraining_seeds(config.seed, config.finals.seeds)
    select = config.search.select_on
    scores = {select: complete_scores(ledger, "retraining", trained, seeds, select)}
    if select == "validation":
        scores["test"] = complete_scores(ledger, "test", trained, seeds, "test")
    drop = None
    if scores.get("validation") and scores.get("test"):
        on_validation, on_test = (
            {seed: runs[seed] for seed in seeds}
            for runs in (
                ledger.predictions("retraining", trained, "validation"),
                ledger.predictions("test", trained, "test"),
            )
        )
        drop = validation_minus_test(on_validation, on_test)
    records = [ledger.job("retraining", trained, seed) for seed in seeds]
    failures = dict.fromkeys(record.failure for record in records if record and record.failure)
    return Entry(
        name=finalist.name,
        kind="control" if finalist.kind == "control" else "ensemble",
        control=finalist.control,
        members=finalist.candidates,
        aggregation=finalist.ensemble.aggregation,
        steps=finalist.steps,
        winner=winner,
        listed_apart=finalist.listed_apart,
        failure="; ".join(failures) or None,
        validation_minus_test=drop,
        suites=scores_on_suites(config, ledger, trained),
        **scores,
    )


def _candidate(standing: Standing) -> Candidate:
    item, verdict, result = standing.candidate, standing.verdict, standing.result
    own = next((reward for reward in standing.rewards if reward["name"] == item.name), None)
    samples = result["samples"][-SAMPLES_SHOWN:] if result else ()
    return Candidate(
        name=item.name,
        identity=item.identity or "",
        round=item.round,
        status=standing.status,
        code=item.code,
        family=item.family,
        origin=item.origin,
        description=item.description,
        parents=item.parents,
        checks=tuple(
            GateCheck(name=check.name, passed=check.passed, enforced=check.enforced, reason=check.message)
            for check in (verdict.checks if verdict else ())
        ),
        prescreening=standing.prescreening,
        failure="; ".join(standing.reasons) or None,
        scores=standing.scores,
        rung=standing.rung,
        rung_scores=standing.rung_scores,
        firing_rate=standing.firing_rate,
        reward_mean=own["mean"] if own else None,
        reward_std=own["std"] if own else None,
        curves=tuple(result["curves"]) if result else (),
        samples=tuple(Sample(**sample) for sample in samples),
        flags=standing.flags,
    )


def _second_layer(config: SearchConfig) -> dict[str, str]:
    screening = config.screening
    if screening.algorithm != "multilayer":
        return {}
    settings = screening.multilayer
    responses = settings.places(screening.grpo.generations)
    return {
        "second layer": f"{settings.corrections} corrections of {responses} responses per question "
        f"({settings.goes_on}), groups by {settings.group}, updates {settings.updates}"
    }


def _facts(config: SearchConfig, ledger: Ledger, running: bool) -> RunFacts:
    started, finished = ledger.milestone("started"), ledger.milestone("finished")
    opened = ledger.milestone("test_opened")
    spent = Spending.of(ledger.calls())
    sandbox = ledger.fact("sandbox")
    grpo, finals = config.screening.grpo, config.finals
    seeds = counted(finals.seeds, "fresh seed")
    settings = {
        "screening": f"{grpo.steps} GRPO steps of {grpo.prompts_per_step} prompts x {grpo.generations} completions, "
        f"learning rate {grpo.learning_rate:g}, LoRA rank {config.screening.lora.rank}",
        **_second_layer(config),
        "screening seeds": str(config.screening.seeds),
        "selection": f"{config.selection_questions} questions of the {config.search.select_on} split, greedy"
        + (", in two passes" if config.second_look else ""),
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
        final_seeds=finals.seeds,
        aggregation=finals.aggregation,
        test_questions=finals.test_questions,
    )


def _work(seconds: Mapping[str, float]) -> float:
    """Of one job. Generating and scoring are parts of training, and are not counted again."""
    return sum(value for phase, value in seconds.items() if phase not in ("generate", "score"))


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
        seconds[name] = seconds.get(name, 0.0) + _work(job.result["seconds"])
    return {name: round(value, 1) for name, value in seconds.items()}
