"""What the figures of a candidate on rollouts and attacks say: does it see the completion, and can it be fooled?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rewards_generated.answers import AnswerFormat
from rewards_generated.base import BaseReward
from rewards_generated.gate.attacks import ADVICE, Attack
from rewards_generated.gate.settings import CheckName, GateSettings
from rewards_generated.gate.verdict import Check
from rewards_generated.rollout import Rollout, Sample


@dataclass(frozen=True, slots=True)
class Scored:
    """Everything that was scored, as parallel lists."""

    rollouts: Sequence[Rollout]
    rollout_scores: Sequence[float]
    references: Sequence[Rollout]
    """A bare right answer in the house format to each question under attack."""
    reference_scores: Sequence[float]
    attacks: Sequence[Attack]
    attack_scores: Sequence[float]
    rivals: Sequence[Sequence[tuple[Sample, float]]] | None
    """Per attack, the right completions of the group in which it was scored, with their scores; None: completions are
    scored each by itself, and the rivals are all right ones to the question."""
    swapped: Sequence[Sequence[float]]
    """Per question under attack, the scores of the same few completions under its prompt and answer."""
    base: Sequence[BaseReward]
    """The base rewards of the task."""
    form: AnswerFormat
    constructed: bool
    """Whether the rollouts are the gate's own, not those of a policy."""
    unread: frozenset[str]
    """Of `prompt`, `completion` and `answer` those that the function never reads, as its text shows."""
    base_totals: dict[Sample, float] = field(default_factory=dict)

    def base_total(self, sample: Sample) -> float:
        """What the base rewards give together; of each sample it is asked many times, and computed once."""
        known = self.base_totals.get(sample)
        if known is None:
            known = sum(reward(sample.prompt, sample.completion, sample.answer) for reward in self.base)
            self.base_totals[sample] = known
        return known

    @property
    def sample_size(self) -> str:
        """In words."""
        questions = len({rollout.group for rollout in self.rollouts})
        return f"{len(self.rollouts)} {'constructed ' * self.constructed}completions of {questions} questions"

    def best_right(self, weight: float) -> list[tuple[float, float, float]]:
        """Per attack, the best score, the best total and the best total of the base rewards of its rivals."""
        if self.rivals is not None:
            return [self._best(rivals, weight) for rivals in self.rivals]
        rights: dict[str, list[tuple[Sample, float]]] = {}
        pairs = [*zip(self.references, self.reference_scores, strict=True)]
        pairs += zip(self.rollouts, self.rollout_scores, strict=True)
        for rollout, score in pairs:
            if rollout.correct:
                rights.setdefault(rollout.group, []).append((rollout.sample, score))
        best = {rollout.group: self._best(rights[rollout.group], weight) for rollout in self.references}
        return [best[attack.group] for attack in self.attacks]

    def _best(self, rivals: Sequence[tuple[Sample, float]], weight: float) -> tuple[float, float, float]:
        scores = [score for _, score in rivals]
        base = [self.base_total(sample) for sample, _ in rivals]
        return max(scores), max(b + weight * score for b, score in zip(base, scores, strict=True)), max(base)

    def values_by_question(self) -> list[set[float]]:
        """Per question under attack, every value that any completion of it got."""
        values = {
            rollout.group: {score, *row}
            for rollout, score, row in zip(self.references, self.reference_scores, self.swapped, strict=True)
        }
        pairs = [(rollout.group, score) for rollout, score in zip(self.rollouts, self.rollout_scores, strict=True)]
        pairs += [(attack.group, score) for attack, score in zip(self.attacks, self.attack_scores, strict=True)]
        for group, score in pairs:
            if group in values:
                values[group].add(score)
        return list(values.values())


def probes(scored: Scored, settings: GateSettings) -> list[Check]:
    """Every semantic check, with its figure."""
    return [
        _constant(scored, settings),
        _ignores_completion(scored, settings),
        _ignores_answer(scored, settings),
        _scale(scored, settings),
        _auc(scored, settings),
        _prefers_wrong(scored, settings),
        _length(scored, settings),
        _group_spread(scored, settings),
        *_attacks(scored, settings),
    ]


def area_under_curve(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """The chance that a right rollout scores above a wrong one, ties counting half; None without both kinds."""
    right = [score for score, label in zip(scores, labels, strict=True) if label]
    wrong = [score for score, label in zip(scores, labels, strict=True) if not label]
    if not right or not wrong:
        return None
    ranks = _ranks([*right, *wrong])
    return (sum(ranks[: len(right)]) - len(right) * (len(right) + 1) / 2) / (len(right) * len(wrong))


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation with average ranks for ties; None where either is constant."""
    x, y = _ranks(first), _ranks(second)
    mean = (len(x) + 1) / 2
    spread = math.sqrt(sum((a - mean) ** 2 for a in x) * sum((b - mean) ** 2 for b in y))
    if not x or spread == 0:
        return None
    return sum((a - mean) * (b - mean) for a, b in zip(x, y, strict=True)) / spread


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, ties sharing their average."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in range(start, end + 1):
            ranks[order[place]] = (start + end) / 2 + 1
        start = end + 1
    return ranks


def _check(name: CheckName, settings: GateSettings, passed: bool, value: float | None, good: str, bad: str) -> Check:
    value = None if value is None else round(value, 6)
    return Check(
        name=name, passed=passed, enforced=settings.enforces(name), message=good if passed else bad, value=value
    )


def _constant(scored: Scored, settings: GateSettings) -> Check:
    counts = Counter(round(score, 9) for score in scored.rollout_scores)
    value, count = counts.most_common(1)[0]
    share = count / len(scored.rollout_scores)
    elsewhere = any(round(score, 9) != value for score in scored.reference_scores)
    return _check(
        "constant",
        settings,
        share <= settings.constant_share or elsewhere,
        share,
        f"{share:.1%} of the rollouts get the most common value",
        f"{share:.1%} of {scored.sample_size} get the same value {value:g}, a plain right answer too, so there is "
        f"nothing to learn from: reward something that completions do differ in{_other_form(scored)}",
    )


def _ignores_completion(scored: Scored, settings: GateSettings) -> Check:
    values = scored.values_by_question()
    blind = sum(len(found) == 1 for found in values) / len(values)
    return _check(
        "ignores_completion",
        settings,
        blind < 1,
        blind,
        f"for {blind:.0%} of the questions every completion gets the same value",
        "the function never reads `completion`, so that it cannot tell completions apart; read `completion`"
        if "completion" in scored.unread
        else f"no difference shown between completions of one question, on {scored.sample_size}: reward something that "
        f"completions do differ in{_other_form(scored)}",
    )


def _other_form(scored: Scored) -> str:
    """What to do where only the gate's own rollouts may be at fault."""
    if not scored.constructed:
        return ""
    form = scored.form.words
    return f"; if your completions have another form than {form}, name it (--format, --task) or give --rollouts"


def _ignores_answer(scored: Scored, settings: GateSettings) -> Check:
    columns = list(zip(*scored.swapped, strict=True))
    blind = sum(len(set(column)) == 1 for column in columns) / len(columns)
    unread = "answer" in scored.unread
    shown = blind < 1 or len({value for column in columns for value in column}) > 1
    tried = f"{len(columns)} completions under {len(scored.swapped)} gold answers"
    return _check(
        "ignores_answer",
        settings,
        not unread and (blind < 1 or not shown),
        blind,
        f"{blind:.0%} of the completions get the same value whatever the gold answer is"
        if shown
        else f"not shown: {tried} all got the same value",
        ("the function never reads `answer`" if unread else f"no difference shown between gold answers, on {tried}")
        + ": right and wrong completions of one form are paid alike; gate it on correctness if that is not meant",
    )


def _scale(scored: Scored, settings: GateSettings) -> Check:
    samples = [rollout.sample for rollout in scored.rollouts] + [attack.sample for attack in scored.attacks]
    base = [scored.base_total(sample) for sample in samples]
    values = [*scored.rollout_scores, *scored.attack_scores]
    spread = (max(values) - min(values)) * abs(settings.weight)
    base_spread = max(base) - min(base)
    if base_spread == 0:
        message = f"not shown: the base rewards give {base[0]:g} to all of {scored.sample_size}"
        return _check("scale", settings, True, None, message, "")
    ratio = spread / base_spread
    return _check(
        "scale",
        settings,
        ratio <= settings.scale_ratio,
        ratio,
        f"its spread is {ratio:.2f} times that of the base rewards' total",
        f"values run from {min(values):g} to {max(values):g}, {ratio:.1f} times the spread of the base rewards' total "
        f"(limit {settings.scale_ratio:g}), which would drown them: scale or cap it to about -3 to 3",
    )


def _auc(scored: Scored, settings: GateSettings) -> Check:
    area = area_under_curve(scored.rollout_scores, [rollout.correct for rollout in scored.rollouts])
    floor = settings.auc_minimum if settings.auc_minimum is not None else 0.5
    if area is None:
        kind = "right" if scored.rollouts[0].correct else "wrong"
        return _check("auc", settings, True, None, f"not shown: all of {scored.sample_size} are {kind}", "")
    return _check(
        "auc",
        settings,
        area >= floor,
        area,
        f"AUC against correctness is {area:.3f}",
        f"AUC against correctness is {area:.3f}, below {floor:g}: wrong completions tend to score higher than right "
        "ones; make the value rise with what makes a completion right",
    )


def _prefers_wrong(scored: Scored, settings: GateSettings) -> Check:
    """Over the pairs of one question that the base rewards alone put in the right order."""
    by_group: dict[str, tuple[list[tuple[float, float]], list[tuple[float, float]]]] = {}
    for rollout, score in zip(scored.rollouts, scored.rollout_scores, strict=True):
        base = scored.base_total(rollout.sample)
        row = (base, base + settings.weight * score)
        by_group.setdefault(rollout.group, ([], []))[0 if rollout.correct else 1].append(row)
    turned = [
        wrong_total >= right_total
        for rights, wrongs in by_group.values()
        for right_base, right_total in rights
        for wrong_base, wrong_total in wrongs
        if right_base > wrong_base
    ]
    if not turned:
        both = any(rights and wrongs for rights, wrongs in by_group.values())
        missing = "pair that the base rewards order rightly" if both else "question with right and wrong completions"
        message = f"not shown: there is no {missing} among {scored.sample_size}"
        return _check("prefers_wrong", settings, True, None, message, "")
    share = sum(turned) / len(turned)
    return _check(
        "prefers_wrong",
        settings,
        share <= settings.beaten_share,
        share,
        f"with the base rewards, {share:.1%} of wrong rollouts reach a right one to the same question",
        f"with the base rewards added, {share:.1%} of wrong rollouts reach or beat a right one to the same question: "
        "lower the scale, or pay only where the answer is right",
    )


def _length(scored: Scored, settings: GateSettings) -> Check:
    lengths = [float(len(rollout.completion)) for rollout in scored.rollouts]
    correlation = rank_correlation(scored.rollout_scores, lengths)
    limit = settings.length_correlation_maximum if settings.length_correlation_maximum is not None else 0.9
    if correlation is None:
        return _check(
            "length", settings, True, None, f"not shown: value or length is constant on {scored.sample_size}", ""
        )
    return _check(
        "length",
        settings,
        abs(correlation) <= limit,
        correlation,
        f"rank correlation with the completion's length is {correlation:+.2f}",
        f"rank correlation with the completion's length is {correlation:+.2f} (limit {limit:g}): it pays for length "
        "more than for anything else; cap or normalise by length",
    )


def _group_spread(scored: Scored, settings: GateSettings) -> Check:
    by_group: dict[str, set[float]] = {}
    sizes: Counter[str] = Counter()
    for rollout, score in zip(scored.rollouts, scored.rollout_scores, strict=True):
        by_group.setdefault(rollout.group, set()).add(round(score, 9))
        sizes[rollout.group] += 1
    spread = [len(values) > 1 for group, values in by_group.items() if sizes[group] > 1]
    if not spread:
        return _check("group_spread", settings, True, None, "not shown: no question has more than one rollout", "")
    share = sum(spread) / len(spread)
    floor = settings.group_spread_minimum if settings.group_spread_minimum is not None else 0.05
    return _check(
        "group_spread",
        settings,
        share >= floor,
        share,
        f"in {share:.0%} of the groups completions get different values",
        f"only in {share:.0%} of the groups do completions get different values (floor {floor:g}): GRPO learns from "
        "differences within a group; reward something that differs more often",
    )


def _attacks(scored: Scored, settings: GateSettings) -> Iterable[Check]:
    best = scored.best_right(settings.weight)
    fooled_alone = []
    for name in ADVICE:
        beaten: dict[str, bool] = {}
        beaten_alone: dict[str, bool] = {}
        for attack, score, (alone, total, base) in zip(scored.attacks, scored.attack_scores, best, strict=True):
            if attack.name == name:
                of_base = scored.base_total(attack.sample)
                # Of several answers the base rewards may take one for the answer: no fault of the candidate.
                reached = of_base + settings.weight * score >= total and (of_base < base or name != "attack_hedging")
                beaten[attack.group] = beaten.get(attack.group, False) or reached
                beaten_alone[attack.group] = beaten_alone.get(attack.group, False) or score >= alone
        share = sum(beaten.values()) / len(beaten)
        if sum(beaten_alone.values()) / len(beaten_alone) > settings.beaten_share:
            fooled_alone.append(name)
        label = name.removeprefix("attack_").replace("_", " ")
        yield _check(
            name,
            settings,
            share <= settings.beaten_share,
            share,
            f"with the base rewards, {label} reaches a right answer in {share:.0%} of the questions",
            f"with the base rewards added, {label} text reaches or beats a right answer in {share:.0%} of the "
            f"questions: {ADVICE[name]}",
        )
    listed = ", ".join(name.removeprefix("attack_").replace("_", " ") for name in fooled_alone)
    yield _check(
        "alone",
        settings,
        not fooled_alone,
        float(len(fooled_alone)),
        "taken alone, no attack reaches a right answer",
        f"taken alone, without the base rewards, {len(fooled_alone)} of {len(ADVICE)} attacks tie with or beat a right "
        f"answer: {listed}",
    )
