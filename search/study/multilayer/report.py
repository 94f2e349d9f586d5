"""What the runs of the study say: second answers of two layers against ordinary GRPO, read in three ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eval.report.study.data import Family
from eval.two_turn_figures import figures_of
from search.study.base import ArmKind, Findings
from search.study.cells import by_seed, each, mean
from search.study.multilayer.records import PARTS, Answers, FailedRun, How, ScoredRun
from search.study.words import Words

MULTILAYER, GRPO, LONGER = "multilayer", "grpo", "grpo-longer"
BEST, RANDOM = "best-response", "random-response"
ARMS: dict[str, ArmKind] = {MULTILAYER: "main", GRPO: "other", LONGER: "other", BEST: "other", RANDOM: "control"}
LAYERED = (MULTILAYER, BEST, RANDOM)
"""Arms with a second layer."""
VOTING = (GRPO, LONGER)
"""Arms whose answers are also put to a vote of two."""

READINGS = {"first": "one pass", "second": "two passes", "vote": "vote of two"}
"""How answers are read, in words."""


class Reading(NamedTuple):
    """What counts as a policy's answer."""

    arm: str
    how: How

    @property
    def name(self) -> str:
        """Of the arm alone, where its second answers count."""
        if self.arm in LAYERED and self.how == "second":
            return self.arm
        return f"{self.arm}, {READINGS[self.how]}"


SECOND_ANSWER = Reading(MULTILAYER, "second")


def rivals(arm: str) -> tuple[Reading, ...]:
    """How ordinary GRPO is read against the second answers of two layers."""
    return (Reading(arm, "first"), Reading(arm, "second"), Reading(arm, "vote"))


DRAWN = (MULTILAYER, LONGER, BEST, RANDOM)
"""Arms in the figures: those of as many sampled completions."""
TOKENS_APART = 0.05
"""From this share on, a difference in sampled tokens between arms of as many completions is said."""

Found = Mapping[str, Sequence[ScoredRun | None]]
"""By arm, one run per seed; None: not there, or without a score."""


@dataclass(frozen=True, kw_only=True)
class MultilayerFindings(Findings):
    more_tokens: float | None
    """Share by which two layers sampled more tokens than as many completions of ordinary GRPO; None: hardly any."""
    failed: int
    """Runs without a score."""


def multilayer_findings(
    words: Words,
    runs: Mapping[str, Sequence[ScoredRun | FailedRun | None]],
    untrained: Answers | None,
) -> MultilayerFindings:
    """A pair of runs counts when both are there."""
    found: Found = {
        arm: [run if isinstance(run, ScoredRun) else None for run in of_arm] for arm, of_arm in runs.items()
    }
    known = {arm: [run for run in of_arm if run] for arm, of_arm in found.items()}
    failed = {arm: sum(isinstance(run, FailedRun) for run in of_arm) for arm, of_arm in runs.items()}
    answers = {arm: [(run.accuracy("first"), run.accuracy("second")) for run in known[arm]] for arm in DRAWN}
    training = {arm: [run.first_layer for run in known[arm]] for arm in DRAWN}
    shares = untrained and figures_of(untrained.right("first"), untrained.right("second"))
    return MultilayerFindings(
        complete=untrained is not None and all(run is not None for of_arm in runs.values() for run in of_arm),
        families=_families(words, found),
        figures=(words.figure("answers_figure", answers), words.figure("training_figure", training, PARTS)),
        tables=(
            words.table("answers_table", known, untrained, shares),
            words.table("budget_table", known, failed),
            words.table("runs_table", found),
        ),
        more_tokens=_more_tokens(known),
        failed=sum(failed.values()),
    )


def _more_tokens(known: Mapping[str, Sequence[ScoredRun]]) -> float | None:
    layered, longer = (mean(run.tokens for run in known[arm]) for arm in (MULTILAYER, LONGER))
    share = layered / longer - 1 if layered and longer else 0.0
    return share if abs(share) > TOKENS_APART else None


def _families(words: Words, found: Found) -> tuple[Family, ...]:
    def against(macro: str, *readings: Reading, primary: bool = False) -> Family:
        values = {item.name: _accuracies(found[item.arm], item.how) for item in (SECOND_ANSWER, *readings)}
        return words.family(macro, values, [(SECOND_ANSWER.name, item.name) for item in readings], primary=primary)

    gains = by_seed(found, lambda run: run.delta)
    firsts = by_seed(found, lambda run: run.accuracy("first"))
    return (
        against("at_completions", *rivals(LONGER), primary=True),
        against("at_steps", *rivals(GRPO)),
        against("best_response", Reading(BEST, "second")),
        against("random_response", Reading(RANDOM, "second")),
        words.family("second_pass", gains, [(MULTILAYER, arm) for arm in (LONGER, GRPO, RANDOM)]),
        words.family("first_answers", firsts, [(MULTILAYER, arm) for arm in (LONGER, GRPO)]),
    )


def _accuracies(runs: Sequence[ScoredRun | None], how: How) -> list[float | None]:
    return each(runs, lambda run: run.accuracy(how))
