"""Whether a reward keeps its contract when it is called: in the sandbox, on the hostile corpus and on rollouts."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rewards_generated.gate.cases import Case, HostileCase, Worker, case_scores
from rewards_generated.gate.corpus import GROWING, growing_sample
from rewards_generated.gate.settings import CheckName, GateSettings
from rewards_generated.gate.verdict import Check
from rewards_generated.score import Score

_SINGLES = 6
"""Cases that are also scored alone."""
_PERMUTED = 120
"""Groups that are also scored in another order."""
_SHORT_GROWTH = 400
"""Characters of the first, short inputs of the time check: what hangs on these is not tried longer."""

WorkerFactory = Callable[[int], Worker]
"""Hash seed → a fresh worker with the code of the candidate."""
Values = Sequence[float | None]
"""Of one case."""


_SIZES = (2, 3, 5, 8, 16, 33, 64, 128)
"""Of batches in which cases are asked again."""
_MOST_AGAIN = 2048
"""Cases of the largest of those batches."""
_MANY = 1.0
"""Seconds for which a process that keeps its state is asked on, in batches, before its values are looked at."""


@dataclass(frozen=True, slots=True)
class Asking:
    """`seed`: of all that is drawn here. `batch`: completions that a run scores at once; 0: not known. `keeps_state`:
    whether one process scores all calls."""

    seed: str = ""
    batch: int = 0
    keeps_state: bool = False


@dataclass(slots=True)
class Behaviour:
    """Checks made so far and, if nothing failed, the scores of the cases that the probes need."""

    checks: list[Check] = field(default_factory=list)
    scores: list[list[float]] = field(default_factory=list)


def behaviour(
    make: WorkerFactory,
    hostile: Sequence[HostileCase],
    cases: Sequence[Case],
    kind: Literal["sample", "batch", "group"],
    settings: GateSettings,
    asking: Asking | None = None,
) -> Behaviour:
    """Runs the contract checks on the hostile cases and on `cases`, which are scored on the way.

    Stops after the first check whose failure makes the later ones void; `scores` is empty then.
    """
    result = Behaviour()
    batch = kind == "batch"

    def report(name: CheckName, passed: bool, message: str, value: float | None = None) -> bool:
        check = Check(name=name, passed=passed, enforced=settings.enforces(name), message=message, value=value)
        result.checks.append(check)
        return passed

    asking = asking or Asking()
    worker = make(0)
    try:
        problem = worker.load()
        if not report("loads", problem is None, "the module runs" if problem is None else _sentence(problem)):
            return result
        hostile_scores = _named_scores(worker, [item.case for item in hostile])
        named = [
            (f"on {item.name}", failed)
            for item, scores in zip(hostile, hostile_scores, strict=False)
            if (failed := _failed(scores)) is not None
        ]
        clock = _Clock(worker)
        found = case_scores(worker, cases) if not _hopeless(named) else []
        seconds_each = clock.seconds() / max(1, sum(map(len, cases)))
        what = "a group of ordinary rollouts" if kind == "group" else "an ordinary rollout"
        named += [
            (f"on {what} ({case[0].completion[:60]!r})", failed)
            for case, scores in zip(cases, found, strict=bool(found))
            if (failed := _failed(scores)) is not None
        ]
        tried = len(hostile) + len(cases)
        report("finite", not named, _finite_message(named, tried), len(named) / tried)
        values = [[score.value for score in scores] for scores in found]
        if not values or any(None in row for row in values):
            return result
        result.scores = [[value for value in row if value is not None] for row in values]
        every = [item.case for item in hostile] + list(cases)
        known = [[score.value for score in scores] for scores in hostile_scores] + values
        _repeat(make, worker, (every[: len(hostile)], cases), known, report)
        _reorder(
            worker, ([*range(len(hostile))], [*range(len(hostile), len(every))]), every, known, batch, report, asking
        )
        if not batch:
            fitting = round(0.3 * settings.batch_seconds / max(seconds_each, 1e-6))
            most = min(_MOST_AGAIN, max(asking.batch, fitting))
            _ask_on(worker, every, known, most, asking, report)
        if batch:
            _split(worker, every, known, report)
        if kind == "group":
            _permute(worker, every, known, report)
        _grow(worker, kind == "group", settings, report)
    finally:
        worker.close()
    return result


Report = Callable[[CheckName, bool, str, float | None], bool]


def _repeat(
    make: WorkerFactory,
    worker: Worker,
    batches: Sequence[Sequence[Case]],
    known: Sequence[Values],
    report: Report,
) -> None:
    """The same calls again, in the same worker and in a fresh one with another hash seed."""
    cases = [case for batch in batches for case in batch]
    found = [scores for batch in batches for scores in _patient_scores(worker, batch)]
    again = _differences(known, found)
    fresh = make(1)
    try:
        found_elsewhere = [scores for batch in batches for scores in _patient_scores(fresh, batch)]
    finally:
        fresh.close()
    elsewhere = _differences(known, found_elsewhere)
    share = max(len(again), len(elsewhere)) / len(cases)
    if again:
        hint = "use no randomness, no time"
        message = _unlike("when called again with the same arguments", again, cases, found, hint)
    elif elsewhere:
        hint = "do not depend on the order of a set, on `hash` or on `id`: sort before you iterate or sum"
        message = _unlike("in another process with another hash seed", elsewhere, cases, found_elsewhere, hint)
    else:
        message = "the same arguments always give the same value"
    report("deterministic", not (again or elsewhere), message, share)


def _reorder(
    worker: Worker,
    batches: Sequence[Sequence[int]],
    cases: Sequence[Case],
    known: Sequence[Values],
    batch: bool,
    report: Report,
    asking: Asking,
) -> None:
    """Another order, some samples twice, some alone: nothing may be carried from call to call.

    A batch function is given the same batches in another order: what it does with other batches is another check.
    """
    draw = random.Random(f"order {asking.seed}")
    order = [index for indices in batches for index in indices]
    shuffled: list[list[Score]] = []
    if batch:
        orders = [draw.sample(indices, len(indices)) for indices in batches]
        order = [index for indices in orders for index in indices]
        for indices in orders:
            shuffled += _patient_scores(worker, [cases[index] for index in indices])
    else:
        order += draw.sample(order, min(len(order), 20))
        draw.shuffle(order)
        shuffled = _patient_scores(worker, [cases[index] for index in order])
    different = _differences([known[index] for index in order], shuffled)
    if batch:
        # A completion that breaks the call breaks that of all others with it, wherever it stands.
        different = [p for p in different if None not in (*known[order[p]], *(score.value for score in shuffled[p]))]
    alone = []
    for index in [] if batch else draw.sample(range(len(cases)), min(_SINGLES, len(cases))):
        found = _patient_scores(worker, [cases[index]])
        if _differences([known[index]], found):
            alone.append(index)
            shuffled += found
    share = max(len(different) / len(order), len(alone) / _SINGLES)
    message = "the order of calls does not matter"
    if different or alone:
        places = [order[place] for place in different] or alone
        hint = (
            "keep nothing between calls: no module-level lists, dicts or counters that a call changes, no mutable "
            "default arguments"
        )
        message = _unlike("when the calls come in another order", places, cases, shuffled, hint)
    report("stateless", not (different or alone), message, share)


def _ask_on(
    worker: Worker, cases: Sequence[Case], known: Sequence[Values], most: int, asking: Asking, report: Report
) -> None:
    """Batches of many sizes, that of the run and a very large one among them, of cases in any order; where one process
    scores all calls, after thousands of calls. Whoever counts his calls and turns meets one of them."""
    draw = random.Random(f"sizes {asking.seed}")
    single = all(len(case) == 1 for case in cases)
    chosen = [index for index, values in enumerate(known) if None not in values and (single or len(cases[index]) < 9)]
    if not chosen:
        return
    if asking.keeps_state:
        until = time.perf_counter() + _MANY
        while time.perf_counter() < until:
            case_scores(worker, [cases[draw.choice(chosen)] for _ in range(asking.batch or 64)])
    different: list[int] = []
    asked = 0
    wanted = [size for size in (*_SIZES, asking.batch) if 0 < size <= most] + [most]
    for size in wanted:
        indices = [draw.choice(chosen) for _ in range(size if single else max(1, size // 5))]
        found = case_scores(worker, [cases[index] for index in indices])
        if _any_killed(found):
            continue
        asked += len(indices)
        different += [indices[place] for place in _differences([known[index] for index in indices], found)]
    message = f"{asked} more, in batches of up to {most}, get the values that they had"
    if different:
        hint = "do not count calls and keep nothing between them"
        message = _unlike(f"when they are asked again, in batches of up to {most}", different, cases, (), hint)
    report("asked_again", not different, message, len(different) / max(1, asked))


def _split(worker: Worker, cases: Sequence[Case], known: Sequence[Values], report: Report) -> None:
    """A batch function must give each sample what it gives it alone: f(batch) == f(singletons)."""
    scored = [index for index, values in enumerate(known) if None not in values]
    chosen = random.Random(1).sample(scored, min(16, len(scored)))
    together = _patient_scores(worker, [cases[index] for index in chosen])
    alone = [_patient_scores(worker, [cases[index]])[0] for index in chosen]
    different = [
        index for index, *found in zip(chosen, together, alone, strict=True) if _differences([known[index]] * 2, found)
    ]
    message = "every completion gets the same value alone as in a batch"
    if different:
        hint = "score each completion by itself, without means, ranks or maxima over the batch"
        message = _unlike("alone or in a small batch", different, cases, together + alone, hint)
    report("batch_invariant", not different, message, len(different) / max(1, len(chosen)))


def _permute(worker: Worker, cases: Sequence[Case], known: Sequence[Values], report: Report) -> None:
    """In a group in another order every completion must keep its value; equal completions may change theirs among
    themselves."""
    draw = random.Random(2)
    several = [index for index, case in enumerate(cases) if len(case) > 1 and None not in known[index]]
    chosen = draw.sample(several, min(_PERMUTED, len(several)))
    orders = [draw.sample(range(len(cases[index])), len(cases[index])) for index in chosen]
    moved = [[cases[index][place] for place in order] for index, order in zip(chosen, orders, strict=True)]
    found = _patient_scores(worker, moved)
    different = [
        index
        for index, case, scores in zip(chosen, moved, found, strict=True)
        if not _same_by_text(
            [(sample.completion, value) for sample, value in zip(cases[index], known[index], strict=True)],
            [(sample.completion, score.value) for sample, score in zip(case, scores, strict=True)],
        )
    ]
    message = "every completion keeps its value in whatever order its group comes"
    if different:
        hint = "let a value depend on what a completion and the others say, never on their places"
        when = "when the completions of a group come in another order"
        message = _unlike(when, different, [cases[index] for index in chosen], found, hint)
    report("group_order", not different, message, len(different) / max(1, len(chosen)))


def _same_by_text(first: list[tuple[str, float | None]], second: list[tuple[str, float | None]]) -> bool:
    """Whether each text has the same values, up to what rounding does to a sum in another order."""
    pairs = zip(sorted(first, key=_order), sorted(second, key=_order), strict=True)
    return all(
        a is not None and b is not None and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for (_, a), (_, b) in pairs
    )


def _order(pair: tuple[str, float | None]) -> tuple[str, float]:
    text, value = pair
    return text, math.inf if value is None else value


def _grow(worker: Worker, whole_groups: bool, settings: GateSettings, report: Report) -> None:
    """Time must not explode with length, whatever is repeated.

    What is too slow is measured once more, alone, so that a busy machine alone rejects nothing.
    """
    seconds = 0.0
    for characters in (_SHORT_GROWTH, settings.growth_characters):
        seconds = _timed(worker, [_growing(unit, characters, whole_groups) for unit in GROWING.values()])
        if seconds <= settings.growth_seconds:
            continue
        for name, unit in GROWING.items():
            case = _growing(unit, characters, whole_groups)
            seconds = _timed(worker, [case])
            if seconds > settings.growth_seconds and not math.isinf(seconds):
                seconds = min(seconds, _timed(worker, [case]))
            if seconds > settings.growth_seconds:
                report(
                    "bounded_time",
                    False,
                    f"{characters} characters of {name} take more than {settings.growth_seconds:g} s: some pattern or "
                    "loop explodes with length; write patterns without nested or neighbouring repeats such as `(a+)+` "
                    "or `.*.*`, bound them as in `{1,40}`, avoid quadratic loops",
                    settings.batch_seconds if math.isinf(seconds) else seconds,
                )
                return
    message = f"{len(GROWING)} inputs of {settings.growth_characters} characters take {seconds:.2f} s together"
    report("bounded_time", True, message, seconds)


def _growing(unit: str, characters: int, whole_groups: bool) -> Case:
    """One long completion, beside another of half the length where the reward compares them."""
    long = growing_sample(unit, characters)
    return [long, growing_sample(unit, characters // 2)] if whole_groups else [long]


def _patient_scores(worker: Worker, cases: Sequence[Case]) -> list[list[Score]]:
    """Of cases that were scored in time once: what is killed now is asked once more, for the machine may have stood
    still."""
    found = case_scores(worker, cases)
    return case_scores(worker, cases) if _any_killed(found) else found


def _named_scores(worker: Worker, cases: Sequence[Case]) -> list[list[Score]]:
    """The scores of all or, of a batch that was killed, those up to the first case that is killed alone."""
    found = case_scores(worker, cases)
    for index, case in enumerate(cases):
        if any(map(_was_killed, found[index])):
            (found[index],) = case_scores(worker, [case])
            if any(map(_was_killed, found[index])):
                return found[: index + 1]
    return found


def _failed(scores: Sequence[Score]) -> Score | None:
    """The first of a case without a value."""
    return next((score for score in scores if score.value is None), None)


def _timed(worker: Worker, cases: Sequence[Case]) -> float:
    """Seconds of the cases together; infinite if one was killed."""
    clock = _Clock(worker)
    found = case_scores(worker, cases)
    return math.inf if _any_killed(found) else clock.seconds()


class _Clock:
    """Wall-clock seconds since it was made, without those for which others left the worker no processor."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._start = time.perf_counter() - worker.starved

    def seconds(self) -> float:
        return time.perf_counter() - self._worker.starved - self._start


def _any_killed(found: Sequence[Sequence[Score]]) -> bool:
    return any(_was_killed(score) for scores in found for score in scores)


def _was_killed(score: Score) -> bool:
    return "killed" in (score.error or "")


def _hopeless(failures: Sequence[tuple[str, Score]]) -> bool:
    """Killed on hostile input: the same on hundreds of rollouts would only cost time."""
    return any(_was_killed(score) for _, score in failures)


def _finite_message(failures: Sequence[tuple[str, Score]], tried: int) -> str:
    if not failures:
        return f"a finite float on each of {tried} inputs"
    reasons: dict[str, list[str]] = {}
    for where, score in failures:
        reasons.setdefault(score.error or "no score", []).append(where)
    said = {reason: where for reason, where in reasons.items() if reason not in _UNTOLD} or reasons
    parts = [
        f"{where[0]}{f' and {len(where) - 1} more' if len(where) > 1 else ''} it {reason}"
        for reason, where in list(said.items())[:4]
    ]
    told = sum(map(len, list(said.values())[:4]))
    if told < len(failures):
        parts.append(f"{len(failures) - told} more inputs fail")
    hints = [hint for key, hint in _HINTS.items() if any(key in reason for reason in reasons)]
    return "; ".join(parts) + (". " + " ".join(hints) if hints else "")


_UNTOLD = ("raised an exception", "returned something else than a finite float")
"""What a worker says of failures beyond the few whose text it sends."""

_HINTS = {
    "Exceeds the limit": "Bound numbers in the pattern, as in `\\d{1,15}`, before `int`.",
    "OverflowError": "Bound numbers in the pattern, as in `\\d{1,15}`, before arithmetic.",
    "ZeroDivisionError": "Test the divisor, also for empty text.",
    "list indices must be integers": "Completions are passed as text, and as messages only where the code takes "
    "`completion[0]['content']` of them.",
    "string indices must be integers": "Completions are passed as text, and as messages only where the code takes "
    "`completion[0]['content']` of them.",
    "for object of type 'str'": "The gold answer is passed as text, such as '22': convert it first.",
    "list index out of range": "The gold answer is passed alone, as text, without the worked solution around it.",
    "at least two data points": "A group may hold one completion only: test its length.",
    "could not convert": "Match a whole number before `float`, or catch ValueError.",
    "invalid literal": "Match `[0-9]` instead of `\\d`, or catch ValueError.",
    "list index": "Test that something was found before taking an item.",
    "NoneType": "Test that the pattern matched; every path must return a float.",
    "returned NoneType": "Every path must return a float.",
    "returned bool": "Wrap it: `float(...)`.",
    "returned int": "Return a float within 1e6.",
    "not a finite": "Test for inf and nan, which arise from very long numbers.",
    "killed": "Some pattern or loop takes too long.",
}


def _differences(known: Sequence[Values], found: Sequence[Sequence[Score]]) -> list[int]:
    """Places of the cases of which some value is another."""
    return [
        index
        for index, (values, scores) in enumerate(zip(known, found, strict=True))
        if not all(_equal(value, score.value) for value, score in zip(values, scores, strict=True))
    ]


def _equal(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return first == second or math.isclose(first, second, rel_tol=1e-12, abs_tol=0.0)


def _unlike(
    when: str, places: Sequence[int], cases: Sequence[Case], found: Sequence[Sequence[Score]], hint: str
) -> str:
    """What is told of cases that had a value, and of which `found` gives some another, or none for being killed."""
    late = next((score.error for scores in found for score in scores if _was_killed(score)), None)
    if late is not None:
        return f"{when} it {late}, twice, though it was fast enough at first; make it faster"
    what = "samples" if all(len(case) == 1 for case in cases) else "groups"
    return f"{len(set(places))} of {len(cases)} {what} get another value {when}; {hint}"


def _sentence(problem: str) -> str:
    return problem[:1].upper() + problem[1:] if problem.startswith("the ") else problem
