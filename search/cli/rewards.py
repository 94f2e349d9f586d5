"""Commands about rewards: check files of them, score rollouts with an ensemble, export one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eval.report.validation import ValidatedReward
    from rewards_generated.answers import AnswerReader
    from rewards_generated.ensemble import Ensemble
    from rewards_generated.rollout_scoring import ScoredRollout

REJECTED = 1


def export(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of a run, TOML file of an ensemble, name of a saved one, FILE.py or FILE.py:NAME.",
            metavar="SOURCE",
        ),
    ],
    to: Annotated[Path, typer.Option(help="Folder to write; it must be new or empty.", metavar="FOLDER")],
    ensemble: Annotated[
        str | None,
        typer.Option(help="Which ensemble or candidate of the run; default: the named winner.", metavar="NAME"),
    ] = None,
) -> None:
    """Write an ensemble as a folder that needs nothing of reward-search, for TRL, verl, OpenRLHF and verifiers.

    The folder holds reward.py, ensemble.toml and a README.md with where it comes from and what to mind. Its code runs
    WITHOUT a sandbox in your trainer.

    Examples:

    \b
        reward-search export runs/mine --ensemble top-3 --to my_reward
        reward-search export runs/mine --ensemble a_candidate --to my_reward
        reward-search export my_ensemble.toml --to my_reward
    """
    from search.driver.export import export as write

    folder = write(source, ensemble, to)
    typer.echo(
        f"{folder}: reward.py, ensemble.toml, README.md. The code runs without a sandbox: read it before training."
    )


def score(
    ensemble: Annotated[
        str,
        typer.Argument(
            help="Name of a saved ensemble, its TOML file, an exported folder, FILE.py, FILE.py:NAME, or RUN:NAME of "
            "an ensemble or candidate of a run.",
            metavar="REWARD",
        ),
    ],
    rollouts: Annotated[
        Path,
        typer.Argument(
            help="JSONL: prompt and completion, as text or chat messages, and answer; where known id and group. "
            "- reads stdin.",
            metavar="ROLLOUTS",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="JSONL file to write instead of printing; it must not exist.", metavar="FILE")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --out.")] = False,
    progress: Annotated[
        float, typer.Option(min=0, max=1, help="Share of a run's steps that are done, for weights with a schedule.")
    ] = 0.0,
) -> None:
    """Score a file of rollouts with an ensemble: every member's score and the total, one JSON line per rollout.

    Members run in the sandbox. What could not be scored is null, with the reason under `unscored`. Lines with the same
    `group`, or without one the same prompt, are completions of one question, which group_normalised and rewards of
    whole groups need. A summary goes to stderr.

    Examples:

    \b
        reward-search score base_rewards rollouts.jsonl > scores.jsonl
        zcat rollouts.jsonl.gz | reward-search score base_rewards -
        reward-search score my_reward.py:accuracy rollouts.jsonl --out scores.jsonl
        reward-search score runs/mine:top-3 rollouts.jsonl
    """
    from rewards_generated.errors import UserError
    from rewards_generated.files import write_whole
    from rewards_generated.rollout_scoring import score_file
    from search.driver.take_home import ensemble_named

    if out is not None and not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}; make it, or write elsewhere")
    if out is not None and (out.is_dir() or (out.exists() and not overwrite)):
        raise UserError(f"--out {out} exists already; choose another name, or replace a file with --overwrite")
    chosen = ensemble_named(ensemble)
    scored = score_file(chosen, rollouts, progress=progress)
    text = "".join(json.dumps(item.record(), ensure_ascii=False) + "\n" for item in scored)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_whole(out, text)
    typer.echo(_summary(chosen, scored), err=True)


def _summary(ensemble: Ensemble, scored: Sequence[ScoredRollout]) -> str:
    from collections import Counter
    from statistics import fmean

    present = [item.total for item in scored if item.total is not None]
    said = f"scored {len(present)} of {len(scored)} rollouts with {ensemble.name} ("
    said += f"{len(ensemble.members)} members, {ensemble.aggregation})"
    if present:
        said += f": total {fmean(present):.4g} on average, from {min(present):.4g} to {max(present):.4g}"
    failures = Counter((name, reason) for item in scored for name, reason in item.unscored.items())
    if failures:
        (name, reason), _ = failures.most_common(1)[0]
        said += f"; unscored: {len(scored) - len(present)}, such as by {name}: {reason}"
    return said


def validate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Python files, as FILE.py or FILE.py:NAME, such as FILE.py:make_reward(weight=2)."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
    rollouts: Annotated[
        Path | None,
        typer.Option(
            help="JSONL with prompt, completion and answer (and correct, group) of your policy; without it, "
            "constructed rollouts. With it, what a search measures before training is shown too."
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Where completions put the answer: solution, answer, boxed, or tags as in think/answer, think/boxed, "
            "-/answer. Default: the one whose marks the code looks for, else solution.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Task that judges answers and has their format: gsm8k, math, or the YAML file of a search."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="HTML file to write: the same with the code, on one page.", metavar="FILE")
    ] = None,
    generations: Annotated[
        int, typer.Option(min=2, help="Completions per question in training, for the share of groups with spread.")
    ] = 8,
) -> None:
    """Check reward files with the gate: what is in them, what they do in the sandbox, what fools them.

    Functions of TRL, verl, OpenRLHF and verifiers are called as their host calls them. Exit code 0: all accepted; 1: at
    least one rejected; 2: bad usage, such as a file that is not Python.

    Example:

    \b
        reward-search validate my_reward.py
        reward-search validate rewards.py:accuracy --format boxed
        reward-search validate rewards/*.py --rollouts rollouts.jsonl --page validation.html
    """
    from eval.prescreener import Prescreener, seconds_per_call
    from eval.report.validation import ValidatedReward, render_validation
    from rewards_generated.answers import ANSWER_FORMATS, AnswerRules, format_in
    from rewards_generated.errors import UserError
    from rewards_generated.files import write_whole
    from rewards_generated.gate import check
    from rewards_generated.rollout_file import read_rollouts

    if page is not None and not page.parent.is_dir():
        raise UserError(f"--page {page}: there is no folder {page.parent}; make it, or write elsewhere")
    given = _answers(form, task)
    codes = [(name, code) for file in files for name, code in _read(file, quiet=as_json)]
    probes = read_rollouts(rollouts, given) if rollouts else None
    prescreener = Prescreener(probes, generations=generations, answers=given) if probes else None
    if prescreener:
        prescreener.know_library(given or AnswerRules())
    rewards = []
    for name, code in codes:
        answers = given or AnswerRules(format_in(code) or ANSWER_FORMATS["solution"])
        verdict = check(code, rollouts=probes, answers=answers)
        figures = prescreener.screen(name, code)[0] if prescreener and verdict.accepted else None
        seconds = seconds_per_call(code, probes) if probes and figures else None
        rewards.append(ValidatedReward(name, code, answers.answer_format, probes is None, verdict, figures, seconds))
        if not as_json:
            typer.echo(_report(rewards[-1]))
    if as_json:
        typer.echo(json.dumps([_record(reward, probes is not None) for reward in rewards]))
    if page is not None:
        write_whole(page, render_validation(rewards))
    if not all(reward.verdict.accepted for reward in rewards):
        raise typer.Exit(REJECTED)


def _record(reward: ValidatedReward, given: bool) -> dict[str, Any]:
    from rewards_generated.answers import format_name

    told = {"file": reward.name, "answer_format": format_name(reward.form), **reward.verdict.model_dump(mode="json")}
    if not given:
        return told
    figures = reward.figures.model_dump(mode="json") if reward.figures else None
    return {**told, "prescreening": figures, "seconds_per_call": reward.seconds_per_call}


def _read(file: str, quiet: bool) -> list[tuple[str, str]]:
    """Name and code of every reward of a file."""
    from rewards_generated.hosts import read_rewards

    rewards = read_rewards(file)
    if len(rewards) == 1:
        return [(file, rewards[0].code)]
    names = ", ".join(item.name for item in rewards)
    if not quiet:
        typer.echo(
            f"{file} has {len(rewards)} rewards ({names}); each is checked. Name one as {file}:{rewards[0].name}, or "
            f"take all as an ensemble with `reward-search import {file} --to FOLDER`\n"
        )
    return [(f"{file}:{item.name}", item.code) for item in rewards]


def _answers(form: str | None, task: str | None) -> AnswerReader | None:
    """None: as the code wants it."""
    from eval.tasks.base import TaskReference
    from eval.tasks.registry import build_task
    from rewards_generated.answers import AnswerRules, written_format
    from rewards_generated.errors import UserError

    if form is not None and task is not None:
        raise UserError("--format and --task are both given; the task has a format of its own: keep one")
    if form is not None:
        try:
            return AnswerRules(written_format(form))
        except ValueError as error:
            raise UserError(f"--format {form}: {error}") from None
    if task is None:
        return None
    if task.endswith((".yaml", ".yml")):
        from search.config.source import load_config

        return build_task(load_config(file=Path(task)).task)
    return build_task(TaskReference(name=task))


def _report(reward: ValidatedReward) -> str:
    from eval.report.validation import figure_rows

    verdict = reward.verdict
    lines = [f"{reward.name}: {'accepted' if verdict.accepted else 'REJECTED'} in {verdict.seconds:.2f} s"]
    if verdict.identity:
        lines.append(f"  identity {verdict.identity}")
    if verdict.kind == "batch":
        lines.append("  takes lists, as TRL's rewards do")
    if verdict.kind == "group":
        lines.append("  takes all completions of a prompt together")
    constructed = "; probes are constructed in it" if reward.constructed else ""
    lines.append(f"  answers in the form {reward.form.words}{constructed}")
    for check in verdict.checks:
        mark = "ok  " if check.passed else "FAIL" if check.enforced else "warn"
        lines.append(f"  {mark} {check.name:<21}{check.message}")
    if reward.figures is not None:
        lines.append(f"  before training, on {reward.figures.rollouts} rollouts (brackets: 95 %, over questions)")
        lines += [f"       {name:<26}{figure}" for name, figure in figure_rows(reward)]
    return "\n".join(lines) + "\n"


def source(
    run: Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")],
    candidate: Annotated[str, typer.Argument(help="Name of the candidate.", metavar="CANDIDATE")],
) -> None:
    """Print the code of a candidate of a run.

    Example:

    \b
        reward-search source runs/mine gated_check > gated_check.py
    """
    import sys

    from search.reader import open_run

    with open_run(run) as reader:
        code = reader.source(candidate).rstrip("\n")
    if sys.stdout.isatty():  # into a file it goes as it is
        code = "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in code)
    typer.echo(code)


def import_rewards(
    file: Annotated[
        str, typer.Argument(help="Python file with rewards of TRL, verl, OpenRLHF, verifiers or ours.", metavar="FILE")
    ],
    to: Annotated[Path, typer.Option(help="Folder to write; it must be new or empty.", metavar="FOLDER")],
) -> None:
    """Turn a file of rewards into modules of one reward each, and an ensemble of all of them.

    Each takes along only what it uses of the file. Says for every function what it became, or why it did not. Nothing
    is run. Exit code 1 where no function became a reward.

    Examples:

    \b
        reward-search import rewards.py --to my_rewards
        reward-search import rewards.py:make_reward(weight=2) --to my_rewards
    """
    from rewards_generated.hosts.importing import import_file

    imported = import_file(file, to)
    for line in imported.lines:
        typer.echo(line)
    if not imported.names:
        raise typer.Exit(REJECTED)
