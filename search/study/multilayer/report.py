"""What the runs of the study say: second answers of two layers against ordinary GRPO, read in three ways."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from eval.report.data import Setting
from eval.report.study.data import Arm, Family, StudyReport, Table, Trajectory, TrajectoryFigure
from eval.report.text import DASH, number, signed_number
from eval.statistics.replicates import compare_arms
from eval.two_turn_figures import figures_of
from search.config.models import SearchConfig
from search.study.base import Result, Size
from search.study.cells import CHANGE, SHARE, Bounds, cell, mean_over_seeds
from search.study.multilayer.arms import (
    ARMS,
    DESCRIPTIONS,
    GRPO,
    KINDS,
    LONGER,
    MULTILAYER,
    RANDOM,
    SECOND_ANSWER,
    Reading,
    completions_of,
    rivals,
    steps_of,
)
from search.study.multilayer.records import PARTS, accuracy, changed, delta
from search.study.multilayer.words import CLAIM, caveats, headline, methods
from search.study.settings import study_settings

UNTRAINED = "untrained"

DRAWN = (MULTILAYER, LONGER, RANDOM)
"""Arms in the figures: those of as many sampled completions."""

Found = Mapping[str, Sequence[Result | None]]
"""By arm, one record per seed; None: not run yet."""


def block_name(seeds: Sequence[int]) -> str:
    """Of the unit that trains these seeds."""
    return f"seeds-{seeds[0]}-{seeds[-1]}"


def multilayer_report(
    config: SearchConfig, size: Size, seeds: Sequence[int], results: Mapping[str, Result]
) -> StudyReport:
    """Of the units recorded so far; a pair of runs counts when both are there."""
    blocks = [result for name, result in results.items() if name != UNTRAINED]
    found: Found = {
        arm: [next((block[arm][str(seed)] for block in blocks if str(seed) in block[arm]), None) for seed in seeds]
        for arm in ARMS
    }
    complete = UNTRAINED in results and all(record is not None for records in found.values() for record in records)
    families = _families(found)
    return StudyReport(
        name="multilayer",
        title="Is a second layer worth its completions?",
        headline=headline(families[0]),
        claim=CLAIM,
        caveats=tuple(caveats(config, size, len(seeds), found)),
        arms=tuple(Arm(name=arm, description=DESCRIPTIONS[arm], kind=KINDS[arm]) for arm in ARMS),
        seeds=tuple(seeds),
        figures=(_answers_figure(found), _training_figure(found)),
        families=families,
        tables=(_answers(found, results.get(UNTRAINED)), _budget(config, found), _by_seed(seeds, found)),
        methods=methods(config, len(seeds)),
        settings=_settings(config),
        size=size,
        complete=complete,
        record=dict(results),
    )


def _families(found: Found) -> tuple[Family, ...]:
    def read(reading: Reading) -> list[float | None]:
        return [None if record is None else accuracy(record, reading.how) for record in found[reading.arm]]

    def against(title: str, readings: Sequence[Reading], primary: bool, note: str = "") -> Family:
        values = {reading.name: read(reading) for reading in (SECOND_ANSWER, *readings)}
        pairs = [(SECOND_ANSWER.name, reading.name) for reading in readings]
        comparisons = compare_arms(values, pairs)
        return Family(title=title, measure="accuracy", primary=primary, comparisons=comparisons, note=note)

    gains = {arm: [None if record is None else delta(record) for record in records] for arm, records in found.items()}
    firsts = {arm: read(Reading(arm, "first")) for arm in ARMS}
    return (
        against(
            "At as many sampled completions",
            rivals(LONGER),
            primary=True,
            note="The second answers of multilayer against the answers of ordinary GRPO, which spends the second "
            "layer's completions on more steps. One pass: the first answer; vote: a majority of two.",
        ),
        against("At as many optimizer steps", rivals(GRPO), primary=False),
        against(
            "Whether the response matters",
            [Reading(RANDOM, "second")],
            primary=False,
            note="The control trains on second prompts that show a response to another question; both are asked in two "
            "passes over their own first answers.",
        ),
        Family(
            title="What the second pass adds",
            measure="Acc@t2 minus Acc@t1",
            primary=False,
            comparisons=compare_arms(gains, [(MULTILAYER, arm) for arm in (LONGER, GRPO, RANDOM)]),
        ),
        Family(
            title="What the second layer does to first answers",
            measure="Acc@t1",
            primary=False,
            comparisons=compare_arms(firsts, [(MULTILAYER, arm) for arm in (LONGER, GRPO)]),
        ),
    )


def _answers(found: Found, untrained: Result | None) -> Table:
    rows = []
    if untrained is not None:
        figures = figures_of([bit == "1" for bit in untrained["first"]], [bit == "1" for bit in untrained["second"]])
        rows.append(
            (
                UNTRAINED,
                DASH,
                cell(figures.first),
                cell(figures.second),
                cell(figures.delta, signed_number),
                cell(figures.corrected),
                cell(figures.regressed),
                number(accuracy(untrained, "vote")),
            )
        )
    for arm, records in found.items():
        known = [record for record in records if record is not None and record["failure"] is None]

        def over(
            figure: Callable[[Result], float | None],
            bounds: Bounds = SHARE,
            shown: Callable[[float], str] = number,
            known: Sequence[Result] = known,
        ) -> str:
            return cell(mean_over_seeds([figure(record) for record in known], bounds), shown)

        rows.append(
            (
                arm,
                str(len(known)),
                over(lambda record: accuracy(record, "first")),
                over(lambda record: accuracy(record, "second")),
                over(delta, CHANGE, signed_number),
                over(lambda record: changed(record, "0", "1")),
                over(lambda record: changed(record, "1", "0")),
                over(lambda record: accuracy(record, "vote")),
            )
        )
    rows.append(("paper, GSM8K", "1", DASH, "0.956", DASH, DASH, DASH, DASH))
    rows.append(("paper, MATH", "1", DASH, "0.904", DASH, DASH, DASH, DASH))
    return Table(
        title="First and second answers",
        columns=(
            "arm",
            "runs",
            "Acc@t1",
            "Acc@t2",
            "delta",
            "incorrect to correct",
            "correct to incorrect",
            "vote of two",
        ),
        rows=tuple(rows),
        note="Shares of all questions: means over runs with 95 % t intervals; of the untrained policy, whose Acc@t2 is "
        "the paper's Acc@t1', Wilson's and Tango's intervals over questions. The paper's rows are of another task and "
        "policy. A vote of two has no majority where the answers differ; then the greedy answer stands, unless only "
        "the sampled one can be read.",
    )


def _budget(config: SearchConfig, found: Found) -> Table:
    rows = []
    for arm, records in found.items():
        known = [record for record in records if record is not None and record["failure"] is None]
        tokens, seconds = ([record[name] for record in known] for name in ("tokens", "seconds"))
        rows.append(
            (
                arm,
                str(steps_of(config, arm)),
                f"{completions_of(config, arm):,}",
                f"{math.fsum(tokens) / len(known):,.0f}" if known else DASH,
                f"{math.fsum(seconds) / len(known):.0f}" if known else DASH,
                str(sum(record is not None and record["failure"] is not None for record in records)),
            )
        )
    return Table(
        title="What a run spends",
        columns=("arm", "optimizer steps", "sampled completions", "sampled tokens", "seconds", "failed runs"),
        rows=tuple(rows),
        note="Tokens and seconds of training are means over runs; a run in a pack has its share of the pack's time. "
        "Budgets are matched in completions, so tokens differ as lengths do.",
    )


def _by_seed(seeds: Sequence[int], found: Found) -> Table:
    rows = [
        (
            f"seed {seed}",
            *(
                number(None if (record := found[arm][place]) is None else accuracy(record, how))
                for arm in ARMS
                for how in ("first", "second")
            ),
        )
        for place, seed in enumerate(seeds)
    ]
    columns = ("run", *(f"{arm}, {name}" for arm in ARMS for name in ("Acc@t1", "Acc@t2")))
    return Table(title="Runs", columns=columns, rows=tuple(rows))


def _figure(
    title: str, caption: str, axis: Sequence[str], measure: str, points: Callable[[Result], Sequence[float | None]]
) -> Callable[[Found], TrajectoryFigure]:
    def figure(found: Found) -> TrajectoryFigure:
        trajectories = []
        for arm in DRAWN:
            records = found[arm]
            runs = tuple(
                tuple(points(record)) for record in records if record is not None and record["failure"] is None
            )
            means = tuple(mean_over_seeds([run[place] for run in runs]) for place in range(len(axis)))
            trajectories.append(Trajectory(arm=arm, runs=runs, means=means))
        return TrajectoryFigure(
            title=title, caption=caption, axis=tuple(axis), measure=measure, trajectories=tuple(trajectories)
        )

    return figure


_answers_figure = _figure(
    "First and second answers",
    "A thin line is one run: the accuracy of its first and of its second answers after training, in the arms "
    "of as many sampled completions. Large points are means over the runs with 95 % t intervals.",
    ("Acc@t1", "Acc@t2"),
    "accuracy",
    lambda record: (accuracy(record, "first"), accuracy(record, "second")),
)
_training_figure = _figure(
    "First answers during training",
    "Accuracy of the sampled completions of the first layer, by fifths of each run's own steps, of which grpo-longer "
    "has more.",
    tuple(f"{part} of {PARTS}" for part in range(1, PARTS + 1)),
    "accuracy of rollouts",
    lambda record: record["first_layer"],
)


def _settings(config: SearchConfig) -> tuple[Setting, ...]:
    screening = config.screening
    grpo, layered = screening.grpo, screening.multilayer
    responses = layered.places(grpo.generations)
    own = {
        "rewards": ", ".join(config.search.base_rewards),
        "first layer": f"{grpo.prompts_per_step} prompts x {grpo.generations} completions a step, learning rate "
        f"{grpo.learning_rate:g}, LoRA rank {screening.lora.rank}",
        "second layer": f"{layered.corrections} corrections of {responses} responses per question ({layered.select}), "
        f"groups by {layered.group}, updates {layered.updates}, confirming a right answer "
        f"{'is' if layered.reward_confirming else 'is not'} rewarded",
        "second prompt": f"ends with {layered.phrase!r}",
        "evaluation": f"{screening.questions} questions of the validation split, greedy, in two passes",
        "pack": str(config.executor.pack),
    }
    return study_settings(config, own)
