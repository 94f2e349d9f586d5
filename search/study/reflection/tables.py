"""The tables of the study's report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from eval.report.study.data import Table
from eval.report.text import DASH, counted, number
from search.study.base import Result
from search.study.cells import ANY, CHANGE, POSITIVE, SHARE, Bounds, mean_over_seeds
from search.study.reflection.arms import ARMS, COMPONENTS, FINE_TUNINGS, arm
from search.study.reflection.records import quarter

Runs = Mapping[str, Sequence[Result | None]]


def cell(values: Sequence[float | None], bounds: Bounds = ANY, digits: int = 3) -> str:
    """Such as `0.512 [0.401, 0.623]`; without the interval where all seeds agree."""
    estimate = mean_over_seeds(values, bounds)
    if estimate is None:
        return DASH
    low, high = number(estimate.low, digits), number(estimate.high, digits)
    agreed = len({value for value in values if value is not None}) == 1
    return number(estimate.value, digits) + ("" if agreed else f" [{low}, {high}]")


def arms_table(suites: Sequence[str], runs: Runs, found: Sequence[Result | None]) -> Table:
    """Every arm after GRPO, and the three policies that GRPO started from."""
    first = suites[0]
    columns = ("arm", "runs", "accuracy", "flexible", "answered", "tokens", *(f"accuracy, {s}" for s in suites[1:]))
    rows = []
    before = {
        f"{name}, before GRPO": [item["fine_tunings"][name] if item else None for item in found]
        for name in FINE_TUNINGS
    }
    for name, of_seeds in {**before, **runs}.items():

        def values(suite: str, figure: str, of_seeds: Sequence[Result | None] = of_seeds) -> list[float | None]:
            return [None if run is None else run["suites"][suite][figure] for run in of_seeds]

        rows.append(
            (
                name,
                str(sum(run is not None for run in of_seeds)),
                cell(values(first, "accuracy"), SHARE),
                cell(values(first, "accuracy_flexible"), SHARE),
                cell(values(first, "extraction_rate"), SHARE),
                cell(values(first, "tokens"), POSITIVE, 1),
                *(cell(values(suite, "accuracy"), SHARE) for suite in suites[1:]),
            )
        )
    return Table(
        title="Arms",
        columns=columns,
        rows=tuple(rows),
        note=f"Greedy answers; the columns without a suite's name are of the suite `{first}`. Means over seeds with "
        "95 % t intervals, without one where all seeds agree. `none, before GRPO` is the base policy, which no seed "
        "changes.",
    )


def components_table(runs: Runs) -> Table:
    rows = []
    for name in ARMS:
        known = [run for run in runs[name] if run is not None]
        fires = [
            cell([quarter(run, f"{said}, firing_rate", 4) for run in known], SHARE) for said in COMPONENTS.values()
        ]
        tokens = cell([quarter(run, "tokens", 4) for run in known], POSITIVE, 1)
        rows.append((name, *fires, cell([quarter(run, "reflection, mean", 4) for run in known], SHARE), tokens))
    return Table(
        title="What the components did in the last quarter of GRPO",
        columns=("arm", *(f"{said} fires" for said in COMPONENTS.values()), "reflection, mean", "tokens"),
        rows=tuple(rows),
        note="Share of the sampled rollouts with a value other than 0, the mean of the ungated reflection reward, and "
        "the mean length of a completion; means over seeds with 95 % t intervals. All four rewards are measured in "
        "every arm. In the paper's logs the format reward hardly ever fired.",
    )


def plateau_table(runs: Runs) -> Table:
    """Whether reflection rises while accuracy does not."""
    rows = []
    for name in ARMS:
        known = [run for run in runs[name] if run is not None]
        rows.append(
            (
                name,
                *(
                    cell([_rise(run, curve) for run in known], CHANGE)
                    for curve in ("accuracy", "reflection, mean", "reflection, firing_rate")
                ),
                cell([_rise(run, "tokens") for run in known], digits=1),
            )
        )
    return Table(
        title="From the third to the last quarter of GRPO",
        columns=("arm", "accuracy", "reflection, mean", "reflection fires", "tokens"),
        rows=tuple(rows),
        note="Change of the rollouts' figures, means over seeds with 95 % t intervals. In the paper's logs reflection "
        "kept rising after accuracy had levelled off.",
    )


def _rise(run: Result, curve: str) -> float | None:
    third, last = quarter(run, curve, 3), quarter(run, curve, 4)
    return None if third is None or last is None else last - third


def cost_table(sft_steps: int, found: Sequence[Result | None]) -> Table:
    """Of fine-tuning."""
    known = [item["fine_tunings"] for item in found if item is not None]
    figures: dict[str, tuple[Callable[[Result], float | None], int]] = {
        "processor seconds": (lambda stage: stage["seconds"]["processor"], 1),
        "wall-clock seconds": (lambda stage: stage["seconds"]["train"], 1),
        "peak resident memory, MiB": (lambda stage: stage["memory"]["resident"] / 2**20, 0),
        "peak GPU memory, MiB": (lambda stage: _mebibytes(stage["memory"].get("cuda")), 0),
        "trained parameters": (lambda stage: stage["trained_parameters"], 0),
        "loss, first quarter": (lambda stage: stage["loss"][0], 3),
        "loss, last quarter": (lambda stage: stage["loss"][1], 3),
    }
    return Table(
        title="What fine-tuning costs",
        columns=_COST_COLUMNS,
        rows=_cost_rows(figures, [item["full"] for item in known], [item["lora"] for item in known]),
        note=f"Of {counted(sft_steps, 'step')}; means over seeds with 95 % t intervals. Resident memory holds Python, "
        "PyTorch and TRL, beside which a small policy is little. The two ran side by side where there are two cores.",
    )


def grpo_cost_table(found: Sequence[Result | None]) -> Table:
    """Of GRPO on the base policy with the paper's reward."""
    pairs = [(item["grpo_in_full"], item["arms"][arm("none", "reflection")]) for item in found if item is not None]
    whole = [pair for pair in pairs if all(run["failure"] is None for run in pair)]
    figures: dict[str, tuple[Callable[[Result], float | None], int]] = {
        "wall-clock seconds": (lambda run: run["seconds"]["train"], 1),
        "peak resident memory, MiB": (lambda run: _mebibytes(run["memory"].get("resident")), 0),
        "peak GPU memory, MiB": (lambda run: _mebibytes(run["memory"].get("cuda")), 0),
        "accuracy of the rollouts, last quarter": (lambda run: quarter(run, "accuracy", 4), 3),
    }
    return Table(
        title="What GRPO costs",
        columns=_COST_COLUMNS,
        rows=_cost_rows(figures, [full for full, _ in whole], [lora for _, lora in whole]),
        note="The arm `none, reflection`, which trains LoRA adapters, and one more run of each seed that trains all "
        "weights at a tenth of its learning rate. Other runs went on beside them, so that the seconds are rough.",
    )


_COST_COLUMNS = ("figure", "full", "LoRA", "full / LoRA")


def _cost_rows(
    figures: Mapping[str, tuple[Callable[[Result], float | None], int]],
    in_full: Sequence[Result],
    with_lora: Sequence[Result],
) -> tuple[tuple[str, ...], ...]:
    rows = []
    for name, (figure, digits) in figures.items():
        full, lora = [figure(run) for run in in_full], [figure(run) for run in with_lora]
        ratios = [a / b if a is not None and b else None for a, b in zip(full, lora, strict=True)]
        rows.append((name, *(cell(of, POSITIVE, digits) for of in (full, lora)), cell(ratios, POSITIVE, 2)))
    return tuple(rows)


def _mebibytes(size: int | None) -> float | None:
    return None if size is None else size / 2**20


def paper_table() -> Table:
    return Table(
        title="The paper's figures",
        columns=("policy", "MATH-500", "GPQA-Diamond", "AIME24"),
        rows=(
            ("1.5B base", "45.4", "27.3", "10.0"),
            ("1.5B full SFT", "58.2", "35.4", "3.3"),
            ("1.5B LoRA SFT", "42.2", "30.8", "6.7"),
            ("1.5B SFT + GRPO with reflection", "50.0", "26.3", "13.3"),
            ("1.5B GRPO with reflection alone", "54.6", "25.8", "13.3"),
            ("7B base", "58.6", "26.3", "16.7"),
            ("7B full SFT", "66.2", "37.4", "16.7"),
            ("7B SFT + GRPO with reflection", "57.6", "41.4", "16.7"),
            ("7B GRPO with reflection alone", "73.8", "34.3", "20.0"),
        ),
        note="Per cent right, arXiv 2603.14041: other tasks and policies, one run each, no intervals, and no run "
        "without the reflection reward. AIME24 has 30 questions, of which one is 3.3 points.",
    )
