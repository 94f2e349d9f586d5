"""One page on rewards that were validated: the gate's verdict, what GRPO would see of them, and their code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.prescreening import PreScreening
from eval.report.leaderboard import format_estimate
from eval.report.templates import environment, style
from rewards_generated.answers import AnswerFormat
from rewards_generated.gate import Verdict


@dataclass(frozen=True, slots=True)
class ValidatedReward:
    name: str
    code: str
    form: AnswerFormat
    constructed: bool
    """Whether the probes are the gate's own."""
    verdict: Verdict
    figures: PreScreening | None = None
    """None: no rollouts were given, or it was rejected."""
    seconds_per_call: float | None = None
    """Of one completion, in a warm worker."""


def figure_rows(reward: ValidatedReward) -> list[tuple[str, str]]:
    """What rollouts say before any training, as names and figures; empty without rollouts."""
    found = reward.figures
    if found is None:
        return []
    rows = [
        (name, format_estimate(figure))
        for name, figure in (
            ("AUC", found.auc),
            ("AUC within a question", found.preference),
            (f"groups of {found.group_size} with spread", found.spread),
            ("with the base rewards", found.total_spread),
            ("the base rewards alone", found.base_spread),
            ("correlation with length", found.length),
            ("other than 0", found.firing),
        )
    ]
    if reward.seconds_per_call is not None:
        rows.append(("time per completion", f"{1000 * reward.seconds_per_call:.2f} ms"))
    if found.closest is not None:
        like = found.closest
        advantages = "" if like.advantage_correlation is None else f", of advantages {like.advantage_correlation:+.3f}"
        rows.append(("most like", f"{like.name}: correlation of ranks {like.rank_correlation:+.3f}{advantages}"))
    return rows


def render_validation(rewards: Sequence[ValidatedReward]) -> str:
    """The page as one HTML document that needs no network and runs no script; all text is escaped."""
    template = environment("eval.report", "validation", autoescape=True).get_template("page.html.j2")
    html = template.render(
        rewards=[(reward, figure_rows(reward)) for reward in rewards],
        accepted=sum(reward.verdict.accepted for reward in rewards),
        style=style("study/study.css"),
    )
    return html.encode("utf-8", "replace").decode("utf-8")
