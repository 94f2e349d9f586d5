"""The sentences of the study's report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from eval.report.study.data import Family, Table
from eval.report.study.text import difference, verdict
from eval.report.text import DASH, counted, joined, signed_interval
from eval.statistics.estimate import Estimate
from search.config.models import SearchConfig
from search.study.base import Size
from search.study.reach.jobs import FIRST_STEPS

ALPHA = 0.05
CLAIM = (
    "GRPO reweights its base policy and cannot leave its support: with base mass Q the optimum is "
    "Q e^(1/beta) / (1 - Q + Q e^(1/beta)), so nothing is gained at Q = 0 and Q = 1; outside pretraining it gains only "
    "where the target agrees with what pretraining prefers, and within the distribution gains shrink as accuracy "
    "saturates (arXiv 2510.15990: small transformers on string tasks, single runs, no intervals, 60 steps, Q not "
    "measured)."
)
_CLAIMS = {
    "Outside pretraining, at equal base mass (standard)": "gains outside stay behind those within, at equal Q",
    "Outside pretraining, at equal base mass (tilt)": "the same with a KL term",
    "Outside pretraining, against matched controls (standard)": "gains outside are less than their matched controls'",
    "Outside pretraining, against matched controls (tilt)": "the same with a KL term",
    "The gain curve": "the gain is the one predicted: no difference in tilt",
    "Problems that the base never solved": "nothing is solved that reweighting does not explain",
    "Shape of the first gain": "the first gain goes as sqrt(Q (1 - Q)) with scaled advantages (above 0)",
    "Saturation within the distribution": "gains shrink as accuracy saturates (above 0)",
}


def headline(families: Sequence[Family], behind: Mapping[str, Estimate | None]) -> str:
    """What the primary comparisons allow to be said. `behind`: the same differences with intervals for new questions;
    what does not hold for those is not decided."""
    primary = next((family for family in families if family.primary), None)
    if primary is None or all(item.estimate is None for item in primary.comparisons):
        return "Too few seeds have ended for any comparison."
    by_verdict: dict[str, list[str]] = {"lower": [], "higher": [], "open": []}
    for item in primary.comparisons:
        wide = behind.get(item.first)
        holds = wide is not None and (wide.low > 0 or wide.high < 0)
        outcome = verdict(item, ALPHA) if holds else "open"
        by_verdict[outcome].append(item.first if outcome == "open" else f"{item.first} ({difference(item)})")
    said = []
    if by_verdict["lower"]:
        said.append(f"At equal base mass training gains less outside pretraining on {', '.join(by_verdict['lower'])}.")
    if by_verdict["higher"]:
        said.append(f"It gains more there on {', '.join(by_verdict['higher'])}.")
    if not said:
        return (
            "Whether training gains less outside pretraining than within it, at equal base mass, is not decided for "
            f"any of {counted(len(by_verdict['open']), 'suite')}."
        )
    if by_verdict["open"]:
        said.append(f"Not decided: {joined(by_verdict['open'])}.")
    return " ".join(said)


def findings(families: Sequence[Family], wide: Mapping[tuple[str, str, str], Estimate | None]) -> Table:
    """The paper's claims beside what was found. `wide`: intervals for new questions, by family and pair."""
    rows = []
    for family in families:
        for item in family.comparisons:
            outcome = verdict(item, ALPHA) if item.estimate else "too few seeds"
            other = wide.get((family.title, item.first, item.second))
            new = DASH if other is None else signed_interval(other)
            rows.append((_CLAIMS[family.title], f"{item.first} − {item.second}", difference(item), outcome, new))
    return Table(
        title="What is claimed, and what was found",
        columns=("claim", "difference of", "found", "conclusion", "interval for new questions"),
        rows=tuple(rows),
        note="The conclusion is that of the corrected t test in the comparisons, which takes the questions as given; "
        "where the last interval holds 0 it need not hold for other questions. `open` is no evidence of equality.",
    )


def caveats(config: SearchConfig, size: Size, seeds: int) -> Iterator[str]:
    """What must be said beside the figures."""
    if size == "quick":
        yield (
            f"This is the quick size: it shows that the study runs. {counted(seeds, 'seed')} of "
            f"{config.screening.grpo.steps} steps are no evidence, and need not have converged."
        )
    yield (
        "The seeds differ in training alone. All share one base policy and one set of questions, so that intervals "
        "over seeds say nothing of other base policies, and the comparisons nothing of other questions: for those "
        "there is a table of its own, and the headline asks for both."
    )
    if config.base_model == "testbed":
        yield (
            "The testbed's base policy was trained on a mixture of behaviours constructed so that the design of the "
            "reward matters: right answers come from habits that reinforcement can make frequent."
        )
        yield (
            "More steps mean longer problems too, so depth holds some of what length shows. Positions are no confound: "
            "the pretraining text has longer sequences than both suites. Nor are tokens: the second vocabulary is "
            "pretrained, in sentences to repeat or to name the operation of, never in problems to solve."
        )
    yield (
        "The theory speaks of every question by itself at the optimum. One adapter answers all of them, after so many "
        "steps: what differs from the prediction can be the optimum or the way there."
    )
    yield (
        "The KL term of the trainer compares token by token and does not look ahead, so its optimum is that of the "
        "theory only where a completion has one decision that matters; and an advantage over the mean of a group that "
        "includes the answer itself is smaller by 1/G, which weakens the reward against the KL term."
    )
    yield "Unsolved in so many samples is not Q = 0: the base's own further samples are the control for that."


def methods(config: SearchConfig, seeds: int) -> str:
    """A paragraph fit for a paper."""
    grpo, finals = config.screening.grpo, config.finals
    samples = config.search.base_rollouts.per_question
    return (
        f"For each of {seeds} seeds the base policy was trained on the right answer alone (1 or 0): with a KL term "
        f"(beta {grpo.beta:g}, loss {grpo.loss}, advantages not scaled) and without one (loss grpo, advantages scaled "
        f"by their group), {grpo.steps} steps of {grpo.prompts_per_step} prompts and {grpo.generations} completions "
        f"each, and for {FIRST_STEPS} steps with and without scaling. The base answered {finals.test_questions} "
        f"questions of the test split and {finals.ood_questions} of every suite and of its matched controls twice "
        f"{samples} times at the temperature of training, every trained policy {samples} times. The first draw of the "
        "base sorts questions into bins and finds the unsolved ones, the second measures what became of them, so that "
        "no gain is a regression to the mean. Base mass is given a beta distribution per kind of question, fitted by "
        "moments, and predictions are expectations over its posterior; gains at equal base mass are by regression "
        "calibration on it. The unit of analysis is the training run: figures were compared by paired differences "
        "over seeds with Student's t intervals, paired t tests and exact sign-flip tests, two-sided, corrected by "
        "Holm's method within each family of comparisons; the primary one is the gain of GRPO without a KL term "
        "outside pretraining against that within it at equal base mass."
    )
