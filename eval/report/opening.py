"""What a report says first: its headline, what was found in plain words, the key figures, and what limits them."""

from __future__ import annotations

from typing import NamedTuple

from eval.report.comparison import conclusion
from eval.report.data import Entry, PairwiseTest, ReportData, Scores
from eval.report.leaderboard import rank_entries
from eval.report.ranking import (
    BASE_REWARDS_ONLY,
    candidate_f1,
    control,
    ranked_candidates,
    shown_split,
    split_scores,
    winner,
    winning_members,
)
from eval.report.text import (
    counted,
    duration,
    interval,
    joined,
    moment,
    money,
    number,
    points_interval,
    signed_interval,
    signed_number,
    signed_points,
)
from eval.statistics.estimate import Estimate
from eval.statistics.welch import welch_difference


class KeyFigure(NamedTuple):
    label: str
    value: str
    detail: str
    winner: bool = False


def headline(data: ReportData) -> str:
    """One sentence that may stand alone: the winner on the sealed test split, else the furthest the run has come."""
    best = winner(data)
    if best is not None and best.test is not None:
        return _test_headline(data, best, best.test)
    if best is not None and best.validation is not None:
        figures = _f1(best.validation)
        return f"{best.name} leads on validation with {figures}; the test split is still sealed."
    ranking = rank_entries(data.entries, data.run.selection_split)
    if ranking.ranked:
        entry = ranking.ranked[0][1]
        scores = split_scores(entry, data.run.selection_split)
        assert scores is not None
        return f"{entry.name} stands first on {data.run.selection_split} with {_f1(scores)}; no winner has been named."
    candidates = ranked_candidates(data)
    if candidates:
        first = candidates[0]
        assert first.scores is not None
        return (
            f"{first.name} of round {first.round} is the best of {counted(len(candidates), 'scored candidate')} "
            f"on {data.run.selection_split}, with {_f1(first.scores)}; no ensemble has been evaluated."
        )
    if data.candidates:
        return f"{counted(len(data.candidates), 'candidate')} so far, and not one has a score yet."
    return "This run has no candidates yet."


def _test_headline(data: ReportData, best: Entry, scores: Scores) -> str:
    split = "sealed test split" if data.run.selection_split == "validation" else "test split"
    sentence = f"{best.name} reaches {_f1(scores)} on the {split}"
    base = control(data.entries, BASE_REWARDS_ONLY)
    if base is None or base.test is None or base is best:
        return sentence + "."
    difference = difference_of(data, best, base)
    if difference is None:
        return f"{sentence}; base rewards only reach {_f1(base.test)}."
    shown = f"{signed_points(difference.value)} points of accuracy {points_interval(difference)}"
    if difference.low > 0:
        return f"{sentence}, {shown} over base rewards only."
    if difference.high < 0:
        return f"{sentence}, which is worse than base rewards only: {shown}."
    return f"{sentence}; a difference from base rewards only is not shown ({shown})."


def findings(data: ReportData) -> list[str]:
    """The opening paragraphs: what was done and came out, then how sure one may be of it."""
    paragraphs = [_found(data), _sure(data)]
    return [" ".join(sentences) for sentences in paragraphs if sentences]


def _found(data: ReportData) -> list[str]:
    said = []
    ranked, members, best = ranked_candidates(data), winning_members(data), winner(data)
    if data.candidates:
        total, scored = len(data.candidates), len(ranked)
        rounds = len({candidate.round for candidate in data.candidates})
        said.append(
            f"{counted(total, 'reward function').capitalize()} {'was' if total == 1 else 'were'} proposed in "
            f"{counted(rounds, 'round')} and {'all' if scored == total else scored} could be trained to the end "
            "and scored."
        )
        said += _over_rounds(data)
    if best is not None:
        said += _random_draws(data, best)
    flagged = [c for c in data.candidates if c.flags]
    if flagged:
        inside = sum(c.name in members for c in flagged)
        where = f", {inside or 'none'} of them in {best.name}" if best else ""
        said.append(f"The training of {counted(len(flagged), 'candidate')} showed signs of reward hacking{where}.")
    return said


def _sure(data: ReportData) -> list[str]:
    best = winner(data)
    if best is None:
        return []
    said = []
    if best.validation and best.test and data.run.selection_split == "validation":
        gap = best.validation.f1.value - best.test.f1.value
        fell = f"{number(abs(gap))} {'less' if gap > 0 else 'more'}" if abs(gap) >= 0.0005 else "as much"
        said.append(
            f"{best.name} was chosen on validation, where its F1 was {number(best.validation.f1.value)}; on test, "
            f"which nothing had been chosen by, it is {fell}."
        )
    return [*said, *_against_others(data, best), *_certainty(data, best)]


def _over_rounds(data: ReportData) -> list[str]:
    """From the first to the last round, with Welch's interval: a rise is only claimed where it excludes 0."""
    by_round: dict[int, list[float]] = {}
    for candidate in ranked_candidates(data):
        by_round.setdefault(candidate.round, []).append(candidate_f1(candidate))
    numbers = sorted(by_round)
    if len(numbers) < 2:
        return []
    first, last = by_round[numbers[0]], by_round[numbers[-1]]
    before, after = sum(first) / len(first), sum(last) / len(last)
    said = f"From round {numbers[0]} to round {numbers[-1]} their mean F1 went from {number(before)} to {number(after)}"
    change = welch_difference(last, first)
    if change is None:
        return [said + "."]
    shown = f"{signed_number(change.value)} {signed_interval(change)}"
    if change.low > 0:
        return [f"{said}, a rise of {shown}."]
    if change.high < 0:
        return [f"{said}, a fall of {shown}."]
    return [f"{said} ({shown}): with so few candidates neither a rise nor a fall is shown."]


def _against_others(data: ReportData, best: Entry) -> list[str]:
    """How the pairwise tests of the winner came out."""
    said = []
    table = data.pairwise
    if table is not None:
        found: dict[str, list[str]] = {"different": [], "equivalent": [], "open": []}
        for test in table.tests:
            if best.name in (test.first, test.second):
                other = test.second if test.first == best.name else test.first
                found[conclusion(test, table.level).split(",")[0]].append(other)
        total = sum(map(len, found.values()))
        parts = [f"differs from {_count(found['different'])}"]
        if table.margin is not None:
            equivalent = _count(found["equivalent"]) + _named(found["equivalent"])
            parts.append(f"is shown to be within {100 * table.margin:g} points of {equivalent}")
        parts.append(f"cannot be told from {_count(found['open'])}" + _named(found["open"]))
        if total:
            said.append(f"Of {counted(total, 'other entry', 'other entries')} on {table.split} it {joined(parts)}.")
    return said


def _random_draws(data: ReportData, best: Entry) -> list[str]:
    split = shown_split(data)
    own = split_scores(best, split)
    draws = [
        scores.f1.value
        for entry in data.entries
        if entry.control and "random" in entry.control and not entry.failure and (scores := split_scores(entry, split))
    ]
    if not draws or own is None:
        return []
    ahead = sum(value >= own.f1.value for value in draws)
    also = f", and {ahead} of them {'does' if ahead == 1 else 'do'} at least as well as the winner" if ahead else ""
    which = "A random draw" if len(draws) == 1 else f"The best of {len(draws)} random draws"
    return [f"{which} of candidates as a control reaches F1 {number(max(draws))}{also}."]


def _certainty(data: ReportData, best: Entry) -> list[str]:
    """That the winner is truly the best, and what picking it was worth in optimism."""
    said = []
    evidence = data.test_evidence or data.final_evidence
    sure = next((entry for entry in evidence.entries if entry.name == best.name), None) if evidence else None
    if evidence and sure:
        places = f"its true rank lies between {sure.interval.low} and {sure.interval.high}"
        if sure.interval.low == sure.interval.high:
            places = f"its true rank is {sure.interval.low}"
        said.append(
            f"The probability that it is truly the best of the {len(evidence.entries)} is "
            f"{number(sure.probability_best, 2)}; {places}."
        )
    picked = data.final_evidence
    optimism = (picked.seed_optimism or picked.optimism) if picked else None
    if picked and optimism and optimism.name == best.name:
        said.append(
            f"Repeating the selection on resampled {picked.split} data puts its optimism at "
            f"{signed_points(optimism.optimism)} points of accuracy."
        )
    return said


def _count(names: list[str]) -> str:
    return str(len(names)) if names else "none"


def _named(names: list[str]) -> str:
    return f" ({joined(names)})" if 0 < len(names) <= 3 else ""


def key_figures(data: ReportData) -> list[KeyFigure]:
    """The few numbers that a reader looks for, each with its interval or what it is made of."""
    figures = []
    best, split = winner(data), shown_split(data)
    base = control(data.entries, BASE_REWARDS_ONLY)
    if best and (scores := split_scores(best, split)):
        detail = f"{interval(scores.f1)}, {counted(len(scores.seeds), 'seed')} × {scores.n:,} questions"
        figures.append(KeyFigure(f"{best.name}, F1 on {split}", number(scores.f1.value), detail, winner=True))
    if best and base and base is not best and (difference := difference_of(data, best, base)):
        figures.append(
            KeyFigure(
                "over base rewards only",
                signed_points(difference.value),
                f"{points_interval(difference)} points of accuracy",
            )
        )
    ranked = ranked_candidates(data)
    if ranked and ranked[0].scores:
        label = f"best single reward, F1 on {data.run.selection_split}"
        detail = f"{interval(ranked[0].scores.f1)}, {ranked[0].name}"
        figures.append(KeyFigure(label, number(ranked[0].scores.f1.value), detail))
    if data.run.seconds:
        elapsed = ""
        if data.run.started and data.run.finished:
            elapsed = f"{duration((data.run.finished - data.run.started).total_seconds())} from start to end"
        figures.append(KeyFigure("work, jobs added up", duration(sum(data.run.seconds.values())), elapsed))
    if data.run.llm_calls:
        detail = counted(data.run.llm_calls, "call")
        detail += f", {data.run.llm_tokens:,} tokens" if data.run.llm_tokens is not None else ""
        figures.append(KeyFigure("language model", money(data.run.cost_usd), detail))
    return figures


def caveats(data: ReportData) -> list[str]:
    """What a reader must know before believing a number, one sentence each."""
    said = []
    run = data.run
    if run.state != "finished":
        said.append(f"This run is {run.state}: its figures are those of the steps that have ended.")
    if run.selection_split == "test":
        said.append(
            "Candidates and ensembles were selected on the test split that is also reported, "
            "so the figures of whatever came out on top are optimistic."
        )
    elif run.test_opened is not None:
        said.append(
            f"The test split was opened once, on {moment(run.test_opened)}, after the ensembles were fixed and the "
            "winner had been named on validation."
        )
    elif any(entry.test for entry in data.entries):
        said.append("There are test figures, but no record of when the test split was opened.")
    else:
        said.append("The test split has not been opened.")
    if run.constructed_task:
        said.append(
            "Task and base policy were constructed so that the design of the reward matters; "
            "the figures say nothing about other tasks."
        )
    seeds = {len(entry.test.seeds) for entry in data.entries if entry.test}
    if seeds == {1}:
        said.append("Every entry was trained with one seed: the intervals hold questions, not the luck of training.")
    return said


def difference_of(data: ReportData, first: Entry, second: Entry) -> Estimate | None:
    """Accuracy of the first minus that of the second on the shown split: over seeds where there are several."""
    test = _comparison(data, first, second)
    if test is None:
        return None
    difference = test.seeds_difference or test.difference
    if test.second == first.name:
        return difference._replace(value=-difference.value, low=-difference.high, high=-difference.low)
    return difference


def _comparison(data: ReportData, first: Entry, second: Entry) -> PairwiseTest | None:
    if data.pairwise is None or data.pairwise.split != shown_split(data):
        return None
    wanted = {first.name, second.name}
    return next((test for test in data.pairwise.tests if {test.first, test.second} == wanted), None)


def _f1(scores: Scores) -> str:
    return f"F1 {number(scores.f1.value)} {interval(scores.f1)}"
