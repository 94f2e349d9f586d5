"""The sentences of the study's report."""

from __future__ import annotations

from collections.abc import Iterator

from eval.report.study.data import Family
from eval.report.study.text import difference, verdict
from eval.report.text import counted, number
from eval.statistics.replicates import ArmComparison, least_sign_flip_p_value
from search.config.models import SearchConfig
from search.proposers.evolve import EvolveSettings
from search.study.base import Size

ALPHA = 0.05
CLAIM = (
    "Feeding the ranked results of earlier rounds into the next prompt raises later rounds (arXiv 2605.02073: mean F1 "
    "0.596 in round 1, 0.632 in round 5, on one search by a language model, without an arm that is told nothing)."
)


def headline(family: Family) -> str:
    """What the primary comparisons allow to be said."""
    over_none, over_shuffled = family.comparisons
    if over_none.estimate is None:
        return "Too few pairs of searches have ended for any comparison."
    told = f"{difference(over_none)} against searches that are told nothing"
    outcome = verdict(over_none, ALPHA)
    if outcome == "open":
        pairs = counted(over_none.estimate.n, "pair")
        said = f"{pairs} of searches do not show that feedback changes the last round: {told}"
        if over_none.detectable is None:
            return f"{said}."
        if over_none.detectable > 1:
            return f"{said}. With so few pairs no possible difference would have been found with 80 % power."
        least = number(over_none.detectable, 2)
        return f"{said}, where a difference of about {least} would have been found with 80 % power."
    direction = "raised" if outcome == "higher" else "lowered"
    return f"With feedback the last round was {direction}: {told}. {_because(over_shuffled)}"


def _because(over_shuffled: ArmComparison) -> str:
    found = difference(over_shuffled)
    if verdict(over_shuffled, ALPHA) == "open":
        return f"That the ranking does it, and not the candidates alone, is not shown: {found} against shuffled."
    return f"The ranking itself matters: {found} against the same candidates shuffled."


def caveats(config: SearchConfig, size: Size, seeds: int, pairs: int) -> Iterator[str]:
    """What must be said beside the figures."""
    if size == "quick":
        yield (
            f"This is the quick size: it shows that the study runs. {counted(seeds, 'search', 'searches')} per arm of "
            f"{config.search.rounds} rounds with {config.search.candidates_per_round} candidates are no evidence."
        )
    if config.proposer.name == "evolve":
        before = (config.search.rounds - 1) * config.search.candidates_per_round
        decay = EvolveSettings.model_validate(config.proposer.options).rank_decay
        chance = 1 / sum(decay**place for place in range(before))
        yield (
            "The claim is tested for the proposer `evolve`, which varies and crosses earlier rewards at random and "
            "uses feedback in one way: it prefers parents that rank high. The preference is mild: of the "
            f"{before} candidates before the last round, were all of them scored, the best is chosen as a parent with "
            f"a chance of {chance:.0%}. A language model may use feedback in other ways; nothing here speaks of that."
        )
        yield (
            "Told nothing, `evolve` takes its parents uniformly from its library instead of from earlier candidates; "
            "shuffled, from earlier candidates by a ranking that means nothing. So `ranked` against `shuffled` is the "
            "worth of the ranking, and `ranked` against `none` that of building on earlier candidates as well."
        )
    else:
        yield f"The claim is tested for the proposer `{config.proposer.name}` alone, with these options."
    if config.task.name == "testbed":
        yield "The testbed is a task and a policy constructed so that the design of the reward matters."
    least = min(1.0, pairs * least_sign_flip_p_value(seeds))
    if least > ALPHA:
        yield (
            f"With {seeds} searches per arm the exact test cannot give a corrected p below {least:.3g}, whatever the "
            "data: it cannot decide at 0.05. The decision rests on the paired t test, which takes differences to be "
            "normal."
        )
    if config.screening.seeds == 1:
        yield (
            "A candidate is scored by one training run, whose seed the arms share. That noise is part of every "
            "difference, and the reason to take a search, not a candidate, as the unit."
        )


def methods(config: SearchConfig, seeds: int) -> str:
    """A paragraph fit for a paper."""
    grpo, settings = config.screening.grpo, config.search
    more = counted(settings.rounds - 1, "more round")
    said = (
        f"For each of {seeds} seeds one first round of {settings.candidates_per_round} candidates was proposed "
        f"({config.proposer.name}), checked and screened. Three searches went on from it for {more}, told the ranking "
        "of all earlier candidates (ranked), nothing (none), or the ranking with its figures permuted over the "
        f"candidates (shuffled). A screening is a GRPO run of {grpo.steps} steps with {grpo.prompts_per_step} prompts "
        f"and {grpo.generations} completions each on LoRA adapters of rank {config.screening.lora.rank}; prompts, "
        "their order and seeds are the same for all candidates of a seed in all arms, and what several arms of a seed "
        "propose is trained once. A candidate's F1 is measured by "
        f"greedy answers to {config.selection_questions} questions of the {settings.select_on} split. The unit of "
        "analysis is the search: the mean F1 of the last round's scored candidates (primary) and the best candidate's "
        "F1 were compared between arms by paired differences over seeds, with Student's t intervals, paired t tests "
        "and exact sign-flip permutation tests, two-sided, corrected by Holm's method over the two declared pairs "
        "(ranked against none, ranked against shuffled) of each measure."
    )
    finals = config.finals
    if pool := finals.random_controls.pool:
        said += (
            f" For each seed the {finals.ensembles[0]} of ranked and {counted(pool, 'random ensemble')} of that size "
            "from all candidates scored without feedback were retrained on fresh seeds and compared on "
            f"{finals.test_questions} questions of the test split, which nothing else had seen."
        )
    return said
