"""Commands of whole runs: a search from its start to its report, and pipelines."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

Trust = Annotated[
    bool,
    typer.Option("--trust", help="Import the code that a run names which somebody else, or another machine, began."),
]
RunFolder = Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print the search's state, its question and what became of the answer as JSON."),
]


def run(
    preset: Annotated[
        str | None,
        typer.Option(help="A shipped configuration: testbed-quick, testbed, paper or paper-mgrpo.", metavar="NAME"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A YAML file; with --preset, its fields replace the preset's.", metavar="FILE")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Replace one field, such as search.rounds=3; may be repeated.", metavar="FIELD=VALUE"
        ),
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Where the run is kept; default: runs/NAME-DATE-TIME.", metavar="FOLDER")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --run-dir.")] = False,
    trust: Trust = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan: jobs, steps, estimated time and cost. Write nothing.")
    ] = False,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="With --dry-run: also ask every language model for a single token, at its price."),
    ] = False,
    ood: Annotated[
        bool,
        typer.Option(
            "--ood",
            help="Also evaluate the finalists on out-of-distribution suites (finals.ood; those of the task if it is "
            "empty), after the test split was opened.",
        ),
    ] = False,
    select_on: Annotated[
        str | None,
        typer.Option(
            help="Split that ranks: validation, or test to reproduce the paper, labelled as selection on the test "
            "split wherever its numbers appear.",
            metavar="SPLIT",
        ),
    ] = None,
) -> int:
    """Run a search to its leaderboard and report, or resume one.

    `reward-search config` lists every field that --config and --set take. A stopped run is resumed under other options
    of its proposer, more rounds, other trackers, another parallelism or time limit; the ledger and the report say so.

    Examples:

    \b
        reward-search run --preset testbed-quick
        reward-search run --preset testbed --set seed=1 --set search.feedback=none --run-dir runs/unguided
        reward-search run --run-dir runs/unguided --resume
        reward-search run --run-dir runs/unguided --resume --set proposer.options.budget_calls=500
        reward-search run --preset testbed-quick --ood
        reward-search run --preset testbed --dry-run
        reward-search run --config mine.yaml --dry-run --probe
    """
    from rewards_generated.errors import UserError
    from search.config.source import load_config
    from search.config.suites import with_suites
    from search.driver.drive import drive, print_plan
    from search.driver.launch import new_run_folder, recorded_config, require_free

    if probe and not dry_run:
        raise UserError("--probe belongs to --dry-run: give both to try the language models and plan the search")
    given = [*(assignments or []), *([f"search.select_on={select_on}"] if select_on else [])]
    if not resume:
        chosen = load_config(preset, config, given)
        chosen = with_suites(chosen) if ood else chosen
        if run_dir is not None:
            require_free(run_dir)
        if dry_run:
            print_plan(chosen, probe=probe)
            return 0
        return drive(run_dir or new_run_folder(chosen), chosen, resume=False)
    if run_dir is None:
        raise UserError("--resume needs --run-dir, the folder of the run to be continued")
    if dry_run:
        raise UserError("--dry-run plans a new search; leave out --resume")
    recorded = recorded_config(run_dir)
    if preset is not None or config is not None:
        named = load_config(preset, config, given)
    else:
        named = load_config(values=recorded.plain(), assignments=given)
    return drive(run_dir, with_suites(named) if ood else named, resume=True, trust=trust)


def ask(
    run: RunFolder,
    as_json: AsJson = False,
    sections: Annotated[
        bool,
        typer.Option("--sections", help="Print how many tokens each part has, estimated from its bytes, instead."),
    ] = False,
) -> None:
    """Print the question that a search with the manual proposer waits on: the exact prompt an LLM would get.

    Examples:

    \b
        reward-search run --preset testbed-quick --set proposer.name=manual --run-dir runs/mine
        reward-search ask runs/mine > question.md
        reward-search ask runs/mine --json
        reward-search ask runs/mine --sections
    """
    from rewards_generated.errors import UserError
    from search.driver.answers import open_question
    from search.driver.exchange import exchange
    from search.proposers.question.tokens import parts_table

    if as_json and sections:
        raise UserError("--json and --sections print two different things; give one of them")
    if as_json:
        typer.echo(exchange(run).model_dump_json(indent=1))
        return
    question = open_question(run).prompt
    typer.echo(parts_table(question) if sections else question)


def tell(
    run: RunFolder,
    answer: Annotated[Path, typer.Argument(help="Text file with the answer; - reads it from stdin.", metavar="FILE")],
    trust: Trust = False,
    as_json: AsJson = False,
) -> int:
    """Answer the open question of a search; it goes on by itself to its next question, or to its end.

    Any text will do: it is parsed and checked as the reply of an LLM would be, and what is unusable in it is
    recorded with its reason.

    Examples:

    \b
        reward-search tell runs/mine answer.md
        my-agent < question.md | reward-search tell runs/mine -
        reward-search tell runs/mine answer.md --json
    """
    from search.driver.answers import record_answer
    from search.driver.drive import drive
    from search.driver.exchange import exchange
    from search.driver.launch import recorded_config

    answered = record_answer(run, answer, trust=trust)
    code = drive(run, recorded_config(run), resume=True, trust=trust, stderr=as_json)
    if as_json:
        typer.echo(exchange(run, answered).model_dump_json(indent=1))
    return code


def status(run: RunFolder) -> None:
    """Show how far a search has come: rounds, candidates, unscored ones with their reasons, cost, what is next.

    Example:

    \b
        reward-search status runs/mine
    """
    from search.driver.status import print_status

    print_status(run)


def check(
    run: RunFolder,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Mend what can be mended, and have lost jobs run again by --resume."),
    ] = False,
) -> int:
    """Look for damage: pages and rows of the ledger, completions, adapters. Exit code 1 where there is any left.

    Examples:

    \b
        reward-search check runs/mine
        reward-search check runs/mine --repair
    """
    from eval.report.table import printable
    from search.driver.check import check

    found, done = check(run, repair=repair)
    for sentence in (*found, *done):
        typer.echo(printable(sentence))
    if not found:
        typer.echo(f"{run} is whole")
    elif not repair:
        typer.echo(f"`reward-search check {run} --repair` mends what can be mended")
    return 1 if found and not repair else 0


def watch(
    run: RunFolder,
    port: Annotated[int, typer.Option(help="Port on this machine; 0: a free one.", min=0, max=65535)] = 0,
    control: Annotated[
        bool, typer.Option("--control", help="With a button that stops the search, or resumes it.")
    ] = False,
) -> int:
    """Show a search on a local page while it runs: jobs with their curves, candidates, leaderboard, cost.

    The page changes as the search goes on; a finished one can be looked at as well. Only this machine reaches it, at an
    address with a token in it, and it changes nothing, unless --control puts a button there.

    Examples:

    \b
        reward-search watch runs/mine
        reward-search watch runs/mine --control
    """
    from search.watch.server import watch_run

    watch_run(run, port, typer.echo, control=control)
    return 0


def leaderboard(
    run: RunFolder,
    format: Annotated[
        Literal["table", "md", "csv", "json"], typer.Option(help="table, md, csv or json.", metavar="FORMAT")
    ] = "table",
) -> None:
    """Print the leaderboard: the finalists with their intervals, or the screened candidates before there are any.

    Example:

    \b
        reward-search leaderboard runs/mine --format md
    """
    from search.driver.launch import recorded_config
    from search.ledger import Ledger
    from search.results.report import leaderboard_text

    with closing(Ledger.open(run)) as ledger:
        typer.echo(leaderboard_text(recorded_config(run), ledger, format), nl=False)


def report(
    run: RunFolder,
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write, replaced if it exists; default: RUN/report.html.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Also write every figure into this folder, as SVG, PNG and PDF.", metavar="DIR"),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(help="Folder of another search, to be compared with this one in the report.", metavar="RUN"),
    ] = None,
) -> None:
    """Write the report of a search, finished or not, as one self-contained HTML file.

    Examples:

    \b
        reward-search report runs/mine --out report.html --figures figures/
        reward-search report runs/guided --beside runs/unguided
    """
    from rewards_generated.errors import UserError
    from search.driver.launch import recorded_config
    from search.ledger import Ledger, is_driven
    from search.results.report import REPORT_FILE, write_report, write_report_figures

    with closing(Ledger.open(run)) as ledger:
        target = out or run / REPORT_FILE
        if target.is_dir() or not target.parent.is_dir():
            raise UserError(f"--out {target}: give a file in a folder that exists")
        if figures is not None and ((figures.exists() and not figures.is_dir()) or not figures.parent.is_dir()):
            raise UserError(f"--figures {figures}: give a folder, or a name for a new one in a folder that exists")
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise UserError(f"{target} cannot be written; give another place with --out")
        config, running = recorded_config(run), is_driven(run)
        typer.echo(write_report(config, ledger, target, running=running, other=beside))
        if figures is not None:
            for file in write_report_figures(config, ledger, figures, running=running):
                typer.echo(file)


def pipeline(
    to: Annotated[Path, typer.Option(help="Where the stages and their policies are kept.", metavar="FOLDER")],
    config: Annotated[
        Path | None, typer.Argument(help="A YAML file; with --preset, its fields replace the preset's.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="A shipped description: testbed-quick, testbed or paper-reflection.", metavar="NAME"),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Replace one field, such as sft.tuning=full; may be repeated.", metavar="FIELD=VALUE"
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the pipeline in --to.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, print the plan, write nothing.")] = False,
) -> int:
    """Train a policy in stages and evaluate each: base, supervised fine-tuning, GRPO with a reflection reward.

    Every stage is full, lora or none. An interrupted pipeline goes on with --resume, to the same policies. What it
    leaves in FOLDER/policy is a base model for `reward-search run`. `reward-search config --pipeline` lists the fields.

    Examples:

    \b
        reward-search pipeline --preset testbed-quick --to runs/pipeline
        reward-search pipeline --preset testbed --set sft.tuning=full --set sft.learning_rate=5e-4 --to runs/full
        reward-search pipeline my.yaml --to runs/mine --dry-run
        reward-search pipeline my.yaml --to runs/mine
        reward-search pipeline --to runs/mine --resume
        reward-search run --preset testbed-quick --set base_model=runs/pipeline/policy
    """
    from rewards_generated.errors import UserError
    from search.driver.pipeline import described, drive_pipeline, print_pipeline_plan

    if dry_run:
        if resume:
            raise UserError("--dry-run plans a new pipeline; leave out --resume")
        print_pipeline_plan(described(config, preset, assignments or [], to, resume=False))
        return 0
    return drive_pipeline(described(config, preset, assignments or [], to, resume=resume), to, resume=resume)
