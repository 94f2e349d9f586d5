"""The sentences of the study's report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eval.report.study.data import Family
from eval.report.study.text import difference, verdict
from eval.report.text import counted
from eval.statistics.replicates import ArmComparison, least_sign_flip_p_value
from search.config.models import SearchConfig
from search.study.base import Size

ALPHA = 0.05
CLAIM = (
    "Paying for phrases of reflection in GRPO, beside accuracy and format, improves reasoning, and GRPO on the base "
    "policy does better than GRPO after fine-tuning (arXiv 2603.14041: MATH-500 54.6 against 50.0 at 1.5B, 73.8 "
    "against 57.6 at 7B, one run each, and no run without the reflection reward)."
)
DESCRIPTIONS = {
    "plain": "GRPO is paid for accuracy and format alone",
    "reflection": "and for phrases of reflection, whether the answer is right or not: the paper's reward",
    "gated": "and for the same phrases beside a right answer only",
}


def headline(rewards: Family, fine_tunings: Family) -> str:
    """What the two primary families allow to be said."""
    if rewards.comparisons[0].estimate is None:
        return "Too few seeds have ended for any comparison."
    ungated, gated, _ = rewards.comparisons
    lora, full, _ = fine_tunings.comparisons
    return (
        f"Paying for reflection {_effect(ungated)}; beside right answers only, it {_effect(gated)}. "
        f"Fine-tuning first {_effect(lora)} with LoRA and {_effect(full)} in full."
    )


def _effect(comparison: ArmComparison) -> str:
    outcome, found = verdict(comparison, ALPHA), comparison.estimate
    if outcome == "open" and found is not None and (found.low > 0 or found.high < 0):
        return f"changed accuracy by {difference(comparison)}, which the correction for several comparisons leaves open"
    if outcome == "open":
        return f"is not shown to change accuracy ({difference(comparison)})"
    return f"{'raised' if outcome == 'higher' else 'lowered'} accuracy by {difference(comparison)}"


def caveats(config: SearchConfig, size: Size, seeds: int, failures: Sequence[str]) -> Iterator[str]:
    """What must be said beside the figures."""
    if size == "quick":
        yield (
            f"This is the quick size: it shows that the study runs. {counted(seeds, 'seed')} of "
            f"{config.screening.grpo.steps} GRPO steps are no evidence."
        )
    yield (
        "The testbed is a task and a policy constructed so that the design of the reward matters: its base policy "
        "knows how to check an equation and seldom does. Nothing here speaks of large policies that reflect in words "
        "of their own."
    )
    yield (
        "Fine-tuning uses right, well-formed traces of the train split, half of which check every equation and mend "
        "it. On the testbed they hold a habit that the base policy has, so fine-tuning helps more here than traces of "
        "another model need help elsewhere."
    )
    yield (
        "GRPO trains LoRA adapters in every arm, for equally many steps at one learning rate, which was not tuned "
        "for any arm. Arms with fine-tuning have had those steps besides."
    )
    least = min(1.0, 3 * least_sign_flip_p_value(seeds))
    if least > ALPHA:
        yield (
            f"With {seeds} seeds the exact test cannot give a corrected p below {least:.3g}, whatever the data: it "
            "cannot decide at 0.05. The decision rests on the paired t test, which takes differences to be normal."
        )
    for failure in failures:
        yield f"A run has no score and is left out, with its seed where arms are averaged: {failure}."


def methods(config: SearchConfig, sft_steps: int, suites: Sequence[str], seeds: int) -> str:
    """A paragraph fit for a paper."""
    grpo = config.screening.grpo
    return (
        f"For each of {seeds} seeds the base policy was left as it is, fine-tuned on reasoning traces with LoRA, or in "
        f"full ({sft_steps} steps of 16 traces), and each of the three policies was trained by GRPO for {grpo.steps} "
        f"steps of {grpo.prompts_per_step} prompts with {grpo.generations} completions under three rewards: accuracy "
        "and format (1 or 0 each), these and the reflection reward of arXiv 2603.14041 with weight 1, and these and "
        "the same reward counted beside right answers only. LoRA adapters of the fine-tuning were merged before "
        "GRPO. Prompts, their order and the draws of generation are the same in all arms of a seed. Accuracy is that "
        f"of greedy answers to {config.finals.test_questions} test questions of each suite ({', '.join(suites)}). "
        "The unit of analysis is the seed: for the effect of the reward accuracies were averaged over the three "
        "kinds of fine-tuning, for the effect of fine-tuning over the three rewards, and compared by paired "
        "differences over seeds with Student's t intervals, paired t tests and exact sign-flip permutation tests, "
        "two-sided, corrected by Holm's method over the pairs of each family. The two families of the suite "
        f"`{suites[0]}` are primary."
    )
