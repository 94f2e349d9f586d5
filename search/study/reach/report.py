"""What the trainings of the study say: the gain curve, the support, and problems outside pretraining."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eval.report.data import Setting
from eval.report.study.data import Arm, Family, StudyReport, Table, Trajectory, TrajectoryFigure
from eval.report.text import DASH, counted, number, signed_interval, signed_number
from eval.statistics.estimate import Estimate
from eval.statistics.replicates import compare_arms
from search.config.models import SearchConfig
from search.config.suites import suites_of
from search.study.base import Result, Size
from search.study.cells import ANY, CHANGE, SHARE, Bounds, cell, mean_over_seeds
from search.study.reach import measures
from search.study.reach.jobs import FIRST_PLAIN, FIRST_SCALED, LASTING, STANDARD, TILT, WITHIN, matched_name
from search.study.reach.measures import BINS, WINDOWS, Questions
from search.study.reach.words import CLAIM, caveats, findings, headline, methods
from search.study.settings import study_settings

_ARMS = (
    Arm(
        name=TILT,
        description="the assumptions of the theory: a KL term, advantages not scaled, many steps",
        kind="main",
    ),
    Arm(name=STANDARD, description="the same steps without a KL term, advantages scaled by their group", kind="other"),
    Arm(name=FIRST_SCALED, description="a few steps with advantages scaled by their group", kind="other"),
    Arm(name=FIRST_PLAIN, description="a few steps with advantages not scaled", kind="other"),
    Arm(name="base", description="the base policy, sampled anew", kind="control"),
    Arm(
        name="predicted", description="the base reweighted by exp(reward / beta), question by question", kind="control"
    ),
)

Runs = Sequence[Result | None]
Series = list[float | None]
Behind = dict[str, dict[str, Estimate | None]]
"""By comparison and suite: the gain outside minus that within, for new seeds and new questions."""


def reach_report(
    config: SearchConfig, size: Size, seeds: Sequence[int], base: Result | None, runs: Runs
) -> StudyReport:
    """Of the units recorded so far."""
    families, figures, tables = [], [], []
    behind: Behind = {}
    if base is not None:
        samples = config.search.base_rollouts.per_question
        questions = {name: Questions.of(base, name, samples) for name in base["first"]}
        families = _families(config, questions, runs)
        figures = [_curve(config, questions[WITHIN], runs), _saturation(runs)]
        behind = _behind(config, questions, runs)
        tables = [
            _new_questions(behind),
            _axes(config, questions, runs),
            _tilts(config, questions, runs),
            _support(config, questions, runs),
            _bins(config, questions[WITHIN], runs),
            _training(runs),
        ]
        tables.insert(0, findings(families, _wide(config, questions, runs, behind)))
    return StudyReport(
        name="reach",
        title="What can GRPO reach?",
        headline=headline(families, behind.get(f"{STANDARD}, at equal Q", {})),
        claim=CLAIM,
        caveats=tuple(caveats(config, size, len(seeds))),
        arms=_ARMS,
        seeds=tuple(seeds),
        figures=tuple(figures),
        families=tuple(families),
        tables=tuple(tables),
        methods=methods(config, len(seeds)),
        settings=_settings(config),
        size=size,
        complete=base is not None and all(run is not None for run in runs),
        record={"base": base, "runs": list(runs)},
    )


def tilts(config: SearchConfig) -> dict[str, float]:
    """What the optimum adds to the log odds: 1 / beta, and what groups whose mean includes the answer itself leave."""
    grpo = config.screening.grpo
    return {"1/beta": 1 / grpo.beta, "1/beta in such groups": (1 - 1 / grpo.generations) / grpo.beta}


def _families(config: SearchConfig, questions: Mapping[str, Questions], runs: Runs) -> list[Family]:
    within = questions[WITHIN]
    suites = suites_of(config)
    axes = [suite.name for suite in suites]
    found = []
    for arm in (STANDARD, TILT):
        outside: dict[str, Series] = {}
        for name in axes:
            before = questions[name]
            outside[name] = [measures.mean_gain(before, measures.right_after(run, arm, name)) for run in runs]
            outside[_equal(name)] = [
                measures.gain_at_equal_mass(before, within, measures.right_after(run, arm, WITHIN)) for run in runs
            ]
        found.append(
            _family(
                f"Outside pretraining, at equal base mass ({arm})",
                f"gain in accuracy, {arm}",
                outside,
                [(name, _equal(name)) for name in axes],
                primary=arm == STANDARD,
                note="`within, as`: the gain that questions within the distribution had, at the base masses of the "
                "suite; accuracy after training as a function of Q is fitted within and averaged over the Q outside.",
            )
        )
    for arm in (STANDARD, TILT):
        paired: dict[str, Series] = {}
        for suite in suites:
            for name in (suite.name, matched_name(suite.name)):
                if name in questions:
                    paired[name] = [
                        measures.mean_gain(questions[name], measures.right_after(run, arm, name)) for run in runs
                    ]
        pairs = [(name, matched_name(name)) for name in axes if matched_name(name) in paired]
        if pairs:
            note = "Matched controls differ from the suite in that one respect and lie within the distribution."
            title = f"Outside pretraining, against matched controls ({arm})"
            found.append(_family(title, f"gain in accuracy, {arm}", paired, pairs, note=note))
    fitted = [measures.tilt_of(within, measures.right_after(run, TILT, WITHIN)) for run in runs]
    steady: dict[str, Series] = {name: [value] * len(runs) for name, value in tilts(config).items()}
    found.append(
        _family(
            "The gain curve",
            "tilt, on the scale of log odds",
            {"fitted": fitted, **steady},
            [("fitted", name) for name in steady],
            note="`fitted` is the tilt at which the predicted mean accuracy is the one observed. The questions are "
            "taken as given; for new ones see the table of tilts.",
        )
    )
    found.append(_support_family(questions, runs))
    shapes = {
        arm: [measures.shape_errors(within, measures.right_after(run, arm, WITHIN)) for run in runs]
        for arm in (FIRST_SCALED, FIRST_PLAIN)
    }
    errors: dict[str, Series] = {}
    for arm, values in shapes.items():
        errors[f"Q(1-Q), {arm}"] = [None if value is None else value[1] for value in values]
        errors[f"root, {arm}"] = [None if value is None else value[0] for value in values]
    found.append(
        _family(
            "Shape of the first gain",
            "squared error of the fitted shape",
            errors,
            [(f"Q(1-Q), {arm}", f"root, {arm}") for arm in (FIRST_SCALED, FIRST_PLAIN)],
            note="`root` is sqrt(Q (1 - Q)). A difference above 0 says that the root fits better, as it should with "
            "scaled advantages, and below 0 that Q (1 - Q) does.",
        )
    )
    halves = {arm: [measures.half_gains(run, arm) for run in runs] for arm in LASTING}
    gains: dict[str, Series] = {}
    for arm, found_halves in halves.items():
        gains[f"first half, {arm}"] = [first for first, _ in found_halves]
        gains[f"second half, {arm}"] = [second for _, second in found_halves]
    pairs = [(f"first half, {arm}", f"second half, {arm}") for arm in LASTING]
    title = "Saturation within the distribution"
    found.append(_family(title, "gain in accuracy of rollouts on fresh questions of training", gains, pairs))
    return found


def _behind(config: SearchConfig, questions: Mapping[str, Questions], runs: Runs) -> Behind:
    found: Behind = {}
    for arm in (STANDARD, TILT):
        at_mass, to_matched = f"{arm}, at equal Q", f"{arm}, against matched controls"
        found[at_mass], found[to_matched] = {}, {}
        for suite in suites_of(config):
            before, matched = questions[suite.name], questions.get(matched_name(suite.name))
            known = _both(runs, arm, suite.name, WITHIN)
            found[at_mass][suite.name] = measures.behind_at_equal_mass(before, questions[WITHIN], known)
            paired = _both(runs, arm, suite.name, matched_name(suite.name))
            found[to_matched][suite.name] = measures.behind_matched(before, matched, paired) if matched else None
    return found


def _both(runs: Runs, arm: str, first: str, second: str) -> list[tuple[Any, Any]]:
    """Counts after training on two kinds of questions, of the seeds that have both."""
    pairs = [(measures.right_after(run, arm, first), measures.right_after(run, arm, second)) for run in runs]
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def _new_questions(behind: Behind) -> Table:
    suites = list(next(iter(behind.values())))
    return Table(
        title="Gain outside minus gain within, for new questions too",
        columns=("suite", *behind),
        rows=tuple((name, *(_estimate(found[name]) for found in behind.values())) for name in suites),
        note="The comparisons take the questions as given. Here intervals hold for new seeds and new questions. At "
        "equal Q: variance between seeds plus that of resampled questions, rather too wide than too narrow; against "
        "matched controls: two-way random effects over the pairs.",
    )


def _wide(
    config: SearchConfig, questions: Mapping[str, Questions], runs: Runs, behind: Behind
) -> dict[tuple[str, str, str], Estimate | None]:
    """Intervals for new questions too, by title of the family and names of the pair."""
    found: dict[tuple[str, str, str], Estimate | None] = {}
    for arm in (STANDARD, TILT):
        for name, estimate in behind[f"{arm}, at equal Q"].items():
            found[f"Outside pretraining, at equal base mass ({arm})", name, _equal(name)] = estimate
        for name, estimate in behind[f"{arm}, against matched controls"].items():
            found[f"Outside pretraining, against matched controls ({arm})", name, matched_name(name)] = estimate
    tilt = _tilt(questions, runs, TILT, WITHIN)
    for name, value in tilts(config).items():
        if tilt is not None:
            shifted = tilt._replace(value=tilt.value - value, low=tilt.low - value, high=tilt.high - value)
            found["The gain curve", "fitted", name] = shifted
    return found


def _tilt(questions: Mapping[str, Questions], runs: Runs, arm: str, name: str) -> Estimate | None:
    rights = [right for run in runs if (right := measures.right_after(run, arm, name)) is not None]
    return measures.tilt_for_new_questions(questions[name], rights)


def _estimate(found: Estimate | None) -> str:
    return DASH if found is None else f"{signed_number(found.value)} {signed_interval(found)}"


def _support_family(questions: Mapping[str, Questions], runs: Runs) -> Family:
    series: dict[str, Series] = {}
    pairs = []
    for arm in LASTING:
        after, again, expected = f"{arm}", "base again", f"reweighted as {arm}"
        observed = [_pooled_solved(questions, run, arm) for run in runs]
        series[after] = [value[0] for value in observed]
        series[expected] = [value[1] for value in observed]
        solved = [measures for measures in (q.solved_again() for q in questions.values()) if measures]
        total = sum(estimate.n for estimate in solved)
        share = sum(estimate.value * estimate.n for estimate in solved) / total if total else None
        series[again] = [share] * len(runs)
        pairs += [(after, again), (after, expected)]
    return _family(
        "Problems that the base never solved",
        "share solved",
        series,
        pairs,
        note="Of all questions without a right answer in the base's first draw. `base again`: its second draw, without "
        "training. `reweighted as`: what the base would solve with the tilt fitted within the distribution; "
        "above it, training reached what reweighting by that tilt does not explain.",
    )


def _pooled_solved(
    questions: Mapping[str, Questions], run: Result | None, arm: str
) -> tuple[float | None, float | None]:
    """Shares over all tasks: solved after training, and expected of the base reweighted."""
    tilt = measures.tilt_of(questions[WITHIN], measures.right_after(run, arm, WITHIN))
    observed = expected = 0.0
    total = 0
    for name, before in questions.items():
        count = int(before.unsolved.sum())
        after = measures.solved(before, measures.right_after(run, arm, name))
        reweighted = measures.solved_by_tilting(before, tilt)
        if not count:
            continue
        if after is None or reweighted is None:
            return None, None
        observed, expected, total = observed + count * after, expected + count * reweighted, total + count
    return (observed / total, expected / total) if total else (None, None)


def _equal(name: str) -> str:
    return f"within, as {name}"


def _family(
    title: str,
    measure: str,
    series: Mapping[str, Series],
    pairs: Sequence[tuple[str, str]],
    *,
    primary: bool = False,
    note: str = "",
) -> Family:
    comparisons = compare_arms(series, pairs)
    return Family(title=title, measure=measure, primary=primary, comparisons=comparisons, note=note)


def _cell(values: Sequence[float | None], bounds: Bounds = SHARE, shown: Callable[[float], str] = number) -> str:
    return cell(mean_over_seeds(values, bounds), shown)


def _curve(config: SearchConfig, within: Questions, runs: Runs) -> TrajectoryFigure:
    """Accuracy after training by the base's first draw."""
    known: dict[str, list[tuple[float | None, ...]]] = {}
    for arm in LASTING:
        rights = [measures.right_after(run, arm, WITHIN) for run in runs]
        known[arm] = [within.by_bin(right / within.samples) for right in rights if right is not None]
    known["base"] = [within.by_bin(within.second / within.samples)]
    known["predicted"] = [within.by_bin(within.predicted(1 / config.screening.grpo.beta))]
    return TrajectoryFigure(
        title="Accuracy after training by base mass",
        caption="Questions within the distribution by the share of right ones in the base's first draw. `base` is its "
        "second draw; `predicted` is the curve of the theory with the beta of `tilt`, expected over what samples leave "
        "open of Q. Thin lines are seeds, large points their means with 95 % t intervals.",
        axis=BINS,
        measure="accuracy of sampled answers",
        trajectories=tuple(_trajectory(arm, series) for arm, series in known.items()),
    )


def _saturation(runs: Runs) -> TrajectoryFigure:
    known = {}
    for arm in LASTING:
        curves = [run["arms"][arm]["accuracy"] for run in runs if run is not None]
        known[arm] = [measures.windows(curve) for curve in curves if len(curve) >= WINDOWS]
    return TrajectoryFigure(
        title="Accuracy over the training",
        caption="Rollouts on fresh questions of the train split, by eighths of the steps.",
        axis=tuple(f"{part}/{WINDOWS}" for part in range(1, WINDOWS + 1)),
        measure="accuracy of rollouts",
        trajectories=tuple(_trajectory(arm, series) for arm, series in known.items()),
    )


def _trajectory(arm: str, series: Sequence[tuple[float | None, ...]]) -> Trajectory:
    places = len(series[0]) if series else 0
    means = tuple(mean_over_seeds([run[place] for run in series]) for place in range(places))
    return Trajectory(arm=arm, runs=tuple(series), means=means)


def _axes(config: SearchConfig, questions: Mapping[str, Questions], runs: Runs) -> Table:
    rows = []
    for name, before in questions.items():
        cells = [str(len(before.first)), number(before.mass)]
        for arm in (STANDARD, TILT):
            rights = [measures.right_after(run, arm, name) for run in runs]
            cells.append(_cell([measures.mean_gain(before, right) for right in rights], CHANGE, signed_number))
        rows.append((name, *cells))
    return Table(
        title="Gains by kind of question",
        columns=("questions", "n", "base mass Q", "gain, standard", "gain, tilt"),
        rows=tuple(rows),
        note="Accuracy of sampled answers after training minus before; 95 % t intervals over seeds. Every task, at its "
        "own base mass: at equal base mass see the comparisons.",
    )


def _tilts(config: SearchConfig, questions: Mapping[str, Questions], runs: Runs) -> Table:
    rows = []
    for name in questions:
        rows.append((name, *(_estimate(_tilt(questions, runs, arm, name)) for arm in LASTING)))
    rows += [(name, signed_number(value), DASH) for name, value in tilts(config).items()]
    return Table(
        title="The tilt that explains the gain",
        columns=("questions", *LASTING),
        rows=tuple(rows),
        note="On the scale of log odds, at which the theory adds 1 / beta to every question whatever its base mass. "
        "Smaller outside the distribution than within: the gain does not carry over as reweighting would have it. "
        "95 % intervals for new seeds and new questions.",
    )


def _support(config: SearchConfig, questions: Mapping[str, Questions], runs: Runs) -> Table:
    rows = []
    for name, before in questions.items():
        again = before.solved_again()
        cells = [str(int(before.unsolved.sum()))]
        cells.append(DASH if again is None else f"{number(again.value)} [{number(again.low)}, {number(again.high)}]")
        for arm in LASTING:
            rights = [measures.right_after(run, arm, name) for run in runs]
            tilts_found = [measures.tilt_of(questions[WITHIN], measures.right_after(run, arm, WITHIN)) for run in runs]
            cells.append(_cell([measures.solved(before, right) for right in rights], SHARE))
            cells.append(_cell([measures.solved_by_tilting(before, tilt) for tilt in tilts_found], SHARE))
        rows.append((name, *cells))
    samples = config.search.base_rollouts.per_question
    return Table(
        title=f"Problems without a right answer in {samples} samples of the base",
        columns=(
            "questions",
            "unsolved",
            "base again",
            *(column for arm in LASTING for column in (f"after {arm}", f"reweighted as {arm}")),
        ),
        rows=tuple(rows),
        note=f"Shares solved at least once in {samples} samples more: by the base itself (95 % Wilson interval over "
        "questions), after training, and by the base reweighted with the tilt fitted within the distribution (95 % t "
        "intervals over seeds). Unsolved in so many samples does not mean without any base mass.",
    )


def _bins(config: SearchConfig, within: Questions, runs: Runs) -> Table:
    places = within.bins
    predicted = within.by_bin(within.predicted(1 / config.screening.grpo.beta))
    again = within.by_bin(within.second / within.samples)
    rows = []
    for place, label in enumerate(BINS):
        cells = [str(int((places == place).sum())), number(again[place]), number(predicted[place])]
        for arm in LASTING:
            rights = [measures.right_after(run, arm, WITHIN) for run in runs]
            shares = [None if r is None else within.by_bin(r / within.samples)[place] for r in rights]
            cells.append(_cell(shares, SHARE))
        for arm in (FIRST_SCALED, FIRST_PLAIN):
            rights = [measures.right_after(run, arm, WITHIN) for run in runs]
            gains = [None if r is None else within.by_bin(measures.gain_again(within, r))[place] for r in rights]
            cells.append(_cell(gains, CHANGE, signed_number))
        rows.append((label, *cells))
    return Table(
        title="Within the distribution, by the base's first draw",
        columns=("share right", "n", "base again", "predicted", *LASTING, "first gain, scaled", "first gain, plain"),
        rows=tuple(rows),
    )


def _training(runs: Runs) -> Table:
    rows = []
    for arm in LASTING:
        curves: list[Any] = [run["arms"][arm] for run in runs if run is not None]
        last = [parts[-1] for curve in curves if (parts := measures.windows(curve["accuracy"]))]
        divergence = [_last_eighth(curve["kl"]) for curve in curves]
        failures = "; ".join(dict.fromkeys(curve["failure"] for curve in curves if curve["failure"])) or DASH
        drifts = [measures.drift(run, arm) for run in runs]
        rows.append((arm, _cell(last), _cell(drifts, CHANGE, signed_number), _cell(divergence, ANY), failures))
    return Table(
        title="Had the trainings converged?",
        columns=("arm", "accuracy, last eighth", "change in the last eighth", "KL per token, last eighth", "failures"),
        rows=tuple(rows),
        note="Of rollouts on fresh questions of training. A change whose interval holds 0 is no proof of convergence.",
    )


def _last_eighth(values: Sequence[float | None]) -> float | None:
    known = [value for value in values[-max(1, len(values) // WINDOWS) :] if value is not None]
    return sum(known) / len(known) if known else None


def _settings(config: SearchConfig) -> tuple[Setting, ...]:
    grpo = config.screening.grpo
    own = {
        "training": f"{grpo.steps} GRPO steps of {grpo.prompts_per_step} prompts x {grpo.generations} completions, "
        f"learning rate {grpo.learning_rate:g} ({grpo.learning_rate_schedule}), LoRA rank {config.screening.lora.rank}",
        "tilt": f"beta {grpo.beta:g}, loss {grpo.loss}, advantages not scaled",
        "samples": f"{config.search.base_rollouts.per_question} per question and policy, at temperature "
        f"{grpo.temperature:g}; two such draws of the base",
        "questions": f"{counted(config.finals.test_questions, 'question')} within the distribution, "
        f"{config.finals.ood_questions} of each suite and of its matched controls",
    }
    return study_settings(config, own)
