"""Drives a run for the command line: progress on the terminal, a clean stop, and what to do next."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from eval.report.table import printable
from eval.tasks.base import Split, Task
from rewards_generated.files import write_whole
from search.config.checks import found_questions, question_warnings
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, UNTRAINED
from search.config.names import GREEDY_SELECTED as SELECTED
from search.config.plan import DEVIATION, DISCORDANT, candidate_steps, detectable, greedy_runs, plan
from search.config.seeds import screening_seeds
from search.config.source import parse_config
from search.driver.launch import checked, opened_run, require_free
from search.driver.origin import code_names
from search.finals.greedy import STAGE
from search.ledger import Ledger
from search.loop import search
from search.proposers.base import AwaitingAnswer
from search.results.earlier import earlier_luck_facts
from search.results.ranking import EARLIER_LUCK
from search.results.report import REPORT_FILE, leaderboard_text, write_report
from search.session import Progress, Run, duration

INTERRUPTED = 130
LEADERBOARD_FILE = "leaderboard.json"


def drive(folder: Path, config: SearchConfig, *, resume: bool, trust: bool = False, stderr: bool = False) -> int:
    """Runs the search to its leaderboard and report; returns the exit code. `stderr`: what is said goes there, and
    nothing to stdout. Raises UserError."""
    console = terminal(stderr=stderr)
    if not resume:
        require_free(folder)
    progress = Progress(console, plan(config).steps)
    try:
        with stop_on_termination(), opened_run(folder, config, progress, resume=resume, trust=trust) as run:
            say(console, f"run directory: {folder}")
            if names := code_names(config.plain()):
                say(console, f"runs code that the configuration names: {', '.join(names)}")
            if not resume:
                warn_of_questions(console, config, run.task)
            progress.skip_steps(recorded_steps(run.ledger))
            watch(run)
            try:
                with progress:
                    search(run)
            except AwaitingAnswer as waiting:
                number = record_question(run, waiting)
                if waiting.taken or waiting.unusable:
                    wanted = run.config.search.candidates_per_round
                    say(console, f"taken from the answers so far: {waiting.taken} of {wanted} candidates")
                for item in waiting.unusable:
                    say(console, f"not taken ({item.reason}): {item.detail}")
                say(console, f"Round {number} waits for an answer:")
                say(console, f"    reward-search ask {folder} > question.md")
                say(console, f"    reward-search tell {folder} answer.md")
                return 0
            write_outputs(run)
            say(console, leaderboard_text(run.config, run.ledger, "table"))
            say(console, f"report: {folder / REPORT_FILE}")
            return 0
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be gone
            say(console, f"stopped; continue with: reward-search run --run-dir {folder} --resume")
        return INTERRUPTED


def write_outputs(run: Run) -> None:
    """The leaderboard and the report, beside the ledger."""
    write_whole(run.folder / LEADERBOARD_FILE, leaderboard_text(run.config, run.ledger, "json"))
    write_report(run.config, run.ledger, run.folder / REPORT_FILE, running=False, task=run.task)


def record_question(run: Run, waiting: AwaitingAnswer) -> int:
    """Writes down what the search waits for; returns the number of the round."""
    number = len(run.ledger.rounds()) + 1
    refused = [{"reason": item.reason, "detail": item.detail} for item in waiting.unusable]
    question = {"round": number, "prompt": waiting.prompt, "taken": waiting.taken, "refused": refused}
    run.ledger.record_fact("question", question)
    return number


def watch(run: Run) -> None:
    """Lets the live view ask the executor how far the running jobs have come, if it can tell."""
    if (asked := getattr(run.executor, "steps_in_progress", None)) is not None:
        run.progress.steps_in_progress = asked


def recorded_steps(ledger: Ledger) -> int:
    """GRPO steps of the runs that are in the ledger already, and of those that will not be made."""
    steps = {finalist.name: finalist.steps for finalist in ledger.finalists()}
    config = parse_config(ledger.fact("config"))
    refused = sum(not verdict.accepted for verdict in ledger.verdicts().values())
    refused += sum(prescreening.duplicate for prescreening in ledger.prescreenings().values())
    refused -= sum(max(0, len(ledger.candidates(item.number)) - item.requested) for item in ledger.rounds())  # replaced
    common = screening_seeds(config.seed, config.screening.seeds)
    screenings = [job for job in ledger.jobs("screening") if job.subject != UNTRAINED]
    screened = sum(job.subject != BASE_ONLY and job.seed in common for job in screenings)
    per_run = candidate_steps(config) / config.screening.seeds
    trained = (len(screenings) - screened) * config.screening.grpo.steps
    trained += round((screened + refused * config.screening.seeds) * per_run)
    over = ledger.milestone(SELECTED) is not None
    tried = greedy_runs(config) if over else len(ledger.jobs(STAGE))
    trained += tried * config.greedy_steps + len(ledger.jobs("transfer")) * config.final_steps
    return trained + sum(steps[job.subject] for job in ledger.jobs("retraining"))


def terminal(*, stderr: bool = False) -> Console:
    console = Console(highlight=False, stderr=stderr)
    return console if console.is_terminal else Console(highlight=False, width=120, stderr=stderr)


def say(console: Console, text: str) -> None:
    """As it is, but for control characters: the terminal breaks long lines, and brackets are no markup."""
    lines = "\n".join(map(printable, text.split("\n")))
    console.print(lines, markup=False, soft_wrap=True)


def print_plan(config: SearchConfig, *, probe: bool = False) -> None:
    """What the search would do, with the time it would take by a short calibration. Writes nothing.

    `probe`: first ask every language model for a token. Raises UserError if one cannot be asked, or none is there.
    """
    from search.driver.calibration import calibrate, language_model_cost, probed_models

    console = terminal()
    task = checked(config).task
    for sentence in probed_models(config) if probe else ():
        say(console, sentence)
    planned = plan(config)
    console.print(f"search {config.name}: task {config.task.name}, base model {config.base_model}")
    say(
        console,
        f"{config.search.rounds} rounds of {config.search.candidates_per_round} candidates from the proposer "
        f"{config.proposer.name}, feedback {config.search.feedback}, ranked on {config.search.select_on}",
    )
    tried = f", {planned.greedy_runs} short runs of greedy selection" if planned.greedy_runs else ""
    more = f", {planned.transfers} of them of the winner and the base rewards under other settings"
    retrained = planned.retrainings + planned.transfers
    console.print(
        f"jobs: at most {planned.screenings} screenings{tried} and {retrained} retrainings"
        f"{more if planned.transfers else ''}"
    )
    if halving := halving_sentence(config):
        say(console, halving)
    say(console, f"steps: at most {planned.steps:,} GRPO steps, {planned.completions:,} completions")
    say(console, f"evaluation: at most {planned.evaluated_questions:,} questions, all policies together")
    if strata := config.screening.question_strata:
        say(
            console,
            f"strata: first at most {planned.pool_answers:,} sampled answers of the base policy, to put "
            f"{len(task.examples('validation', config.question_pool)):,} questions into {strata} strata",
        )
    say(console, detectable_sentence(config, found_questions(config, task)))
    warn_of_questions(console, config, task)
    say(console, f"language model: {language_model_cost(config)}")
    pace = calibrate(config)
    jobs = planned.screenings + planned.greedy_runs + retrained
    answers = planned.evaluated_questions + planned.pool_answers
    seconds = pace.seconds(jobs, planned.steps, answers, planned.candidates, 3 + (planned.pool_answers > 0))
    say(console, f"time: about {duration(seconds)}, from {pace.measured}")


WIDE = 0.1
"""Detectable differences above it are warned of."""


def warn_of_questions(console: Console, config: SearchConfig, task: Task) -> None:
    for warning in question_warnings(config, task):
        say(console, f"warning: {warning}")


def detectable_sentence(config: SearchConfig, questions: Mapping[Split, int]) -> str:
    """How small a difference in accuracy the planned search can show; by split as many questions as there are."""
    if min(questions.values()) < 2:
        return "luck: with a single question no difference can be shown"
    earlier = earlier_luck_facts(config).get(EARLIER_LUCK)
    deviation = earlier["variance"] ** 0.5 if earlier else DEVIATION
    found = detectable(config, questions, deviation, earlier["freedom"] if earlier else 0)
    if found.candidate is None:
        return (
            "luck: nothing is trained twice, so no difference can be shown for new seeds; "
            "raise screening.control_seeds, screening.seeds or finals.seeds"
        )
    shown = f"{100 * found.candidate:.0f} points of accuracy between a candidate and the base rewards"
    raise_first = ["screening.seeds"] if found.candidate > WIDE else []
    if found.finalist is not None:
        shown += f", {100 * found.finalist:.0f} between a finalist and them"
        raise_first += ["finals.seeds"] if found.finalist > WIDE else []
    advice = f"; to show less than {100 * WIDE:.0f}, raise {' and '.join(raise_first)}" if raise_first else ""
    return (
        f"luck: shows with 80 % power a difference of {shown}, if runs of one recipe differ by {deviation:.3g} and two "
        f"policies answer {DISCORDANT:.0%} of the questions differently{advice}"
    )


def halving_sentence(config: SearchConfig) -> str | None:
    """What successive halving does to a round; None: it is off."""
    halving, candidates = config.screening.halving, config.search.candidates_per_round
    if not halving.rungs:
        return None
    counts = zip(halving.rungs, halving.candidates_at(candidates)[1:], strict=True)
    share = halving.step_share(candidates, config.screening.grpo.steps)
    return (
        f"successive halving: of {candidates} candidates of a round "
        + ", ".join(f"{count} go on after step {rung}" for rung, count in counts)
        + f"; {share:.0%} of the steps of screening all of them to the end"
    )


@contextmanager
def stop_on_termination() -> Iterator[None]:
    """SIGTERM, and SIGHUP unless it is ignored (nohup), stop as Ctrl-C does: running jobs are ended and the ledger is
    closed."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
