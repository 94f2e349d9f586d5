"""What training did to policies, from the ledger: learning curves, late completions, and the questions still failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import fsum
from typing import Any

from eval.prediction import Prediction
from eval.tasks.base import Example, Task
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, UNTRAINED
from search.ledger import Ledger
from search.proposers.question.evidence import CurvePoint, LateCompletion, QuestionKind, Training
from search.results.ranking import Outcome, seeds_of

POINTS = 5
"""Of a learning curve."""
LATE = 4
"""Completions kept of a run at most, right and wrong each."""
FEWEST = 10
"""Questions of a kind, below which its accuracy would say nothing."""
ATTRIBUTES_SHOWN = 4


def training(outcome: Outcome, config: SearchConfig, task: Task) -> Training | None:
    """Of the run of the first seed; None where there is none."""
    if outcome.result is None:
        return None
    name = outcome.candidate.name
    return Training(
        tuple(_curve(outcome.result.get("curves", ()), name)),
        tuple(_late(outcome.result.get("samples", ()), name, config.search.base_rewards, task)),
    )


def _curve(steps: Sequence[Mapping[str, Any]], name: str) -> list[CurvePoint]:
    """Means over up to five stretches of equal length: single steps are too noisy."""
    points = min(POINTS, len(steps))
    bounds = [round(k * len(steps) / points) for k in range(points + 1)] if points else []
    return [
        CurvePoint(
            part[0]["step"],
            part[-1]["step"],
            _mean([step.get("reward_mean") for step in part]),
            _mean([step.get("rewards", {}).get(name, {}).get("mean") for step in part]),
            _mean([step.get("accuracy") for step in part]),
            _mean([step.get("completion_tokens") for step in part]),
        )
        for part in (steps[first:end] for first, end in pairwise(bounds))
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fsum(known) / len(known) if known else None


def _late(samples: Sequence[Mapping[str, Any]], name: str, base: Sequence[str], task: Task) -> list[LateCompletion]:
    """Of the last steps that kept completions, right and wrong, each text once."""
    found: dict[bool, list[LateCompletion]] = {True: [], False: []}
    seen: set[tuple[str, str]] = set()
    for sample in reversed(samples):
        text = sample["prompt"], sample["completion"]
        if text in seen:
            continue
        seen.add(text)
        answer = task.extract(sample["completion"]).strict
        right = answer is not None and task.equal(answer, sample["answer"])
        scores = sample["scores"]
        shown = [(member, scores[member]) for member in base if member in scores]
        shown += [("candidate", scores[name])] if name in scores else []
        found[right].append(
            LateCompletion(
                sample["step"], sample["prompt"], sample["answer"], sample["completion"], right, tuple(shown)
            )
        )
    return sorted((one for kept in found.values() for one in kept[:LATE]), key=lambda one: -one.step)


def question_kinds(config: SearchConfig, ledger: Ledger, task: Task, leader: str) -> tuple[QuestionKind, ...]:
    """Accuracy of the leader on parts of the questions that rank, beside the untrained policy and the base rewards.

    Parts are told apart by whether the untrained policy answers rightly, by the question's length, by how many numbers
    it has, and by the task's own attributes of few values: of these, where the leader's accuracy differs most.
    """
    split = config.search.select_on
    examples = {example.id: example for example in task.examples(split, config.question_pool)}
    own = _shares(ledger, config, leader)
    asked = [examples[name] for name in own if name in examples]
    if not asked:
        return ()
    untrained = _right(ledger.predictions("screening", UNTRAINED, split))
    base = _shares(ledger, config, BASE_ONLY)
    always = [
        _parts(asked, lambda e: _by_base(untrained, e)),
        _parts(asked, _thirds(asked, lambda e: len(e.question.split()), "words in the question")),
        _parts(asked, _thirds(asked, lambda e: sum(map(str.isdigit, _words(e))), "numbers in the question")),
    ]
    attributes = dict.fromkeys(key for example in asked for key in example.attributes)
    named = [_parts(asked, lambda e, key=key: _attribute(e, key)) for key in attributes]  # type: ignore[misc]

    def spread(parts: Mapping[str, Sequence[str]]) -> float:
        means = [_of(own, names) or 0.0 for names in parts.values()]
        return max(means) - min(means) if len(means) > 1 else 0.0

    named = sorted((parts for parts in named if 1 < len(parts) <= 6), key=spread, reverse=True)[:ATTRIBUTES_SHOWN]
    return tuple(
        QuestionKind(kind, len(names), _of(untrained, names), _of(base, names), _of(own, names) or 0.0)
        for parts in (*always, *named)
        if len(parts) > 1
        for kind, names in sorted(parts.items(), key=lambda item: _order(item[0]))
    )


def _order(kind: str) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", kind)], kind


def _words(example: Example) -> list[str]:
    return ["".join(c for c in word if c.isalnum()) for word in example.question.split()]


def _by_base(untrained: Mapping[str, float], example: Example) -> str | None:
    if example.id not in untrained:
        return None
    return f"the untrained policy answers it {'rightly' if untrained[example.id] >= 0.5 else 'wrongly'}"


def _attribute(example: Example, key: str) -> str | None:
    value = example.attributes.get(key)
    return f"{key} = {value}"[:60] if isinstance(value, str | int | bool) else None


def _thirds(asked: Sequence[Example], measure: Callable[[Example], int], what: str) -> Callable[[Example], str]:
    """Three parts of about equal size, named by their bounds."""
    values = sorted(measure(example) for example in asked)
    low, high = values[len(values) // 3], values[2 * len(values) // 3]

    def part(example: Example) -> str:
        value = measure(example)
        if value < low:
            return f"{what}: 0 to {low - 1}"
        return f"{what}: {low} to {high}" if value <= high else f"{what}: {high + 1} and more"

    return part


def _parts(asked: Sequence[Example], kind: Callable[[Example], str | None]) -> dict[str, list[str]]:
    """Ids of the questions of each kind that has enough of them."""
    parts: dict[str, list[str]] = {}
    for example in asked:
        if (name := kind(example)) is not None:
            parts.setdefault(name, []).append(example.id)
    return {name: ids for name, ids in parts.items() if len(ids) >= FEWEST}


def _shares(ledger: Ledger, config: SearchConfig, subject: str) -> dict[str, float]:
    """By question, over the seeds of a screening."""
    runs = ledger.predictions("screening", subject, config.search.select_on)
    wanted = seeds_of(config, ledger, subject)
    return _right({seed: answers for seed, answers in runs.items() if seed in wanted})


def _right(runs: Mapping[int, Sequence[Prediction]]) -> dict[str, float]:
    right: dict[str, list[float]] = {}
    for answers in runs.values():
        for prediction in answers:
            right.setdefault(prediction.id, []).append(float(prediction.correct))
    return {name: fsum(values) / len(values) for name, values in right.items()}


def _of(shares: Mapping[str, float], names: Sequence[str]) -> float | None:
    return _mean([shares.get(name) for name in names])
