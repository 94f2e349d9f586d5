"""The sentences of the study's report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from eval.report.study.data import Family
from eval.report.study.text import difference, verdict
from eval.report.text import counted
from eval.statistics.replicates import least_sign_flip_p_value
from search.config.models import SearchConfig
from search.study.base import Result, Size
from search.study.multilayer.arms import LONGER, MULTILAYER, completions_of, rivals, steps_of

ALPHA = 0.05
CLAIM = (
    "A second GRPO process, in which the policy finds and corrects the errors of its own responses, raises accuracy "
    "over ordinary GRPO (arXiv 2506.04746: 95.6 % on GSM8K and 90.4 % on MATH after the second pass)."
)
TOKENS_APART = 0.05
"""From this share on, a difference in sampled tokens between arms of as many completions is said."""


def headline(at_completions: Family) -> str:
    """What the primary comparisons, with ordinary GRPO of as many completions, allow to be said."""
    if any(comparison.estimate is None for comparison in at_completions.comparisons):
        return "Too few pairs of runs have ended for any comparison."
    return f"At as many sampled completions, {_said(at_completions)}"


def _said(family: Family) -> str:
    words = {"higher": "better than", "lower": "worse than", "open": "not shown to differ from"}
    found = [words[verdict(comparison, ALPHA)] for comparison in family.comparisons]
    read = [
        f"{how} ({difference(comparison)})"
        for how, comparison in zip(("one pass", "two passes", "a vote of two"), family.comparisons, strict=True)
    ]
    if len(set(found)) == 1:
        against = f"{found[0]} those of ordinary GRPO with {', '.join(read[:-1])} and {read[-1]}"
    else:
        against = "; ".join(
            f"{outcome} those of ordinary GRPO with {how}" for outcome, how in zip(found, read, strict=True)
        )
    return f"second answers of two layers are {against}."


def caveats(
    config: SearchConfig, size: Size, seeds: int, found: Mapping[str, Sequence[Result | None]]
) -> Iterator[str]:
    """What must be said beside the figures."""
    grpo = config.screening.grpo
    if size == "quick":
        yield (
            f"This is the quick size: it shows that the study runs. {counted(seeds, 'run')} per arm of {grpo.steps} "
            "steps are no evidence."
        )
    if config.task.name == "testbed":
        yield (
            "The testbed's policy has seen second prompts in its pretraining: it mostly copies the earlier response, "
            "answers anew or mends it now and then, and spoils a right one now and then. What the second layer can "
            "find there was put there; what other policies bring to a second pass is another question."
        )
    layered, longer = _mean_tokens(found[MULTILAYER]), _mean_tokens(found[LONGER])
    if layered and longer:
        share = layered / longer - 1
        if abs(share) > TOKENS_APART:
            yield (
                f"Budgets are matched in completions; multilayer sampled {abs(share):.0%} "
                f"{'more' if share > 0 else 'fewer'} tokens than {LONGER}, and its second prompts are longer to read."
            )
    yield (
        "A vote of two cannot outvote anything: it differs from the greedy answer only where that cannot be read. It "
        "costs as many tokens at evaluation as a second pass, which is why it stands here."
    )
    least = min(1.0, len(rivals(LONGER)) * least_sign_flip_p_value(seeds))
    if least > ALPHA:
        yield (
            f"With {counted(seeds, 'run')} per arm the exact test cannot give a corrected p below {least:.3g}, "
            "whatever the data: it cannot decide at 0.05. The decision rests on the paired t test, which takes "
            "differences to be normal."
        )
    failed = sum(
        record is not None and record["failure"] is not None for records in found.values() for record in records
    )
    if failed:
        yield f"{counted(failed, 'run')} could not be scored; their pairs are left out."


def methods(config: SearchConfig, seeds: int) -> str:
    """A paragraph fit for a paper."""
    screening = config.screening
    grpo, layered = screening.grpo, screening.multilayer
    responses = counted(layered.places(grpo.generations), "response")
    kinds = {"all": "", "wrong": " wrong", "mixed": " wrong and right"}[layered.select]
    return (
        f"For each of {seeds} seeds four policies were trained on LoRA adapters of rank {screening.lora.rank}, with "
        f"the base rewards alone: multi-layer GRPO (multilayer) for {grpo.steps} steps of {grpo.prompts_per_step} "
        f"prompts and {grpo.generations} completions, of which {responses}{kinds} per question went on to a "
        f"second layer with "
        f"{layered.corrections} corrections each (groups by {layered.group}, {layered.updates} updates); ordinary GRPO "
        f"with as many optimizer steps (grpo); ordinary GRPO with {steps_of(config, LONGER)} steps, and so at least as "
        f"many sampled completions, {completions_of(config, LONGER):,} against {completions_of(config, MULTILAYER):,} "
        "(grpo-longer); and multi-layer GRPO whose second prompts showed random responses to other questions "
        "(random-response). The arms of a seed share prompts and their order, and the random numbers of the first "
        f"layer. Every policy answered {screening.questions} questions of the validation split greedily and was shown "
        "its answer to answer again; policies of ordinary GRPO also gave one sampled answer for a vote of two. The "
        "unit of analysis is the seed: accuracies were compared by paired differences, with Student's t "
        "intervals, paired t "
        "tests and exact sign-flip permutation tests, two-sided, corrected by Holm's method over the declared pairs of "
        "each family; the family at as many sampled completions is primary."
    )


def _mean_tokens(records: Sequence[Result | None]) -> float | None:
    known = [record["tokens"] for record in records if record is not None and record["failure"] is None]
    return sum(known) / len(known) if known else None
