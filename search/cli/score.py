"""`reward-search score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rewards_generated.ensemble import Ensemble
    from rewards_generated.rollout_scoring import ScoredRollout

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def score(
    ensemble: Annotated[
        str,
        typer.Argument(help="Name of a saved ensemble, its TOML file, or an exported folder.", metavar="ENSEMBLE"),
    ],
    rollouts: Annotated[
        Path,
        typer.Argument(
            help="JSONL: prompt and completion, as text or chat messages, and answer; where known id and group.",
            metavar="ROLLOUTS",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="JSONL file to write instead of printing; it must not exist.", metavar="FILE")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --out.")] = False,
) -> None:
    """Score a file of rollouts with an ensemble: every member's score and the total, one JSON line per rollout.

    Members run in the sandbox. What could not be scored is null, with the reason under `unscored`. Lines with the same
    `group`, or without one the same prompt, are completions of one question, which group_normalised needs. A summary
    goes to stderr.

    Examples:

    \b
        reward-search score base_rewards rollouts.jsonl > scores.jsonl
        reward-search score my_reward rollouts.jsonl --out scores.jsonl
    """
    import json

    from rewards_generated import load
    from rewards_generated.errors import UserError
    from rewards_generated.files import write_whole
    from rewards_generated.rollout_scoring import score_file

    if out is not None and not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}; make it, or write elsewhere")
    if out is not None and (out.is_dir() or (out.exists() and not overwrite)):
        raise UserError(f"--out {out} exists already; choose another name, or replace a file with --overwrite")
    chosen = load(ensemble)
    scored = score_file(chosen, rollouts)
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
