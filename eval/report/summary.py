"""What a report says in sentences: its headline, its caveats and its methods."""

from __future__ import annotations

from collections.abc import Sequence

from eval.report.data import Candidate, Entry, PairwiseTest, RankingEvidence, ReportData, Scores
from eval.report.leaderboard import rank_entries
from eval.report.text import counted, interval, joined, moment, number, points_interval, signed_points
from eval.statistics.estimate import Estimate
from eval.statistics.optimism import SelectionOptimism

BASE_REWARDS_ONLY = "base rewards only"
UNTRAINED_BASE = "untrained base"
"""Values of `Entry.control` that the report knows and compares with."""


def winner(data: ReportData) -> Entry | None:
    """The entry named on validation; None while there is none, or if it could not be scored."""
    return next((e for e in data.entries if e.winner and e.failure is None), None)


def control(entries: Sequence[Entry], name: str) -> Entry | None:
    return next((e for e in entries if e.control == name and e.failure is None), None)


def ranked_candidates(data: ReportData) -> list[Candidate]:
    """Screened candidates with scores, best F1 first, ties by name. Nothing else is ranked."""
    scored = [c for c in data.candidates if c.status == "screened" and c.scores is not None]
    return sorted(scored, key=lambda c: (-candidate_f1(c), c.round, c.name))


def unscored_candidates(data: ReportData) -> list[Candidate]:
    """Neither ranked nor stopped at a rung."""
    apart = {id(candidate) for candidate in (*ranked_candidates(data), *stopped_candidates(data))}
    return [candidate for candidate in data.candidates if id(candidate) not in apart]


def stopped_candidates(data: ReportData) -> list[Candidate]:
    """Stopped at a rung, the longest trained first, then by F1: scores of one rung stand together."""
    found = [c for c in data.candidates if c.status == "stopped" and c.rung_scores is not None]
    return sorted(found, key=lambda c: (-(c.rung or 0), -c.rung_scores.f1.value if c.rung_scores else 0.0, c.name))


def candidate_f1(candidate: Candidate) -> float:
    assert candidate.scores is not None
    return candidate.scores.f1.value


def unscored_reason(candidate: Candidate) -> str:
    """Why a candidate has no score, in one line."""
    if candidate.failure:
        return candidate.failure
    failed = [
        f"{check.name}: {check.reason}" if check.reason else check.name
        for check in candidate.checks
        if not check.passed
    ]
    if failed:
        return failed[0]
    return {
        "pending": "not screened yet",
        "rejected": "rejected by the gate",
        "duplicate": "ranks rollouts of the base policy like an earlier candidate",
        "stopped": "stopped before the end of its training",
        "failed": "its run ended without a score",
        "screened": "no predictions were kept",
    }[candidate.status]


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
        scores = _scores(entry, data.run.selection_split)
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
    test = _comparison(data, best, base)
    if test is None:
        return f"{sentence}; base rewards only reach {_f1(base.test)}."
    difference = test.seeds_difference or test.difference
    if test.second == best.name:
        difference = _reversed(difference)
    shown = f"{signed_points(difference.value)} points of accuracy {points_interval(difference)}"
    if difference.low > 0:
        return f"{sentence}, {shown} over base rewards only."
    if difference.high < 0:
        return f"{sentence}, which is worse than base rewards only: {shown}."
    return f"{sentence}; a difference from base rewards only is not shown ({shown})."


def _comparison(data: ReportData, first: Entry, second: Entry) -> PairwiseTest | None:
    if data.pairwise is None or data.pairwise.split != "test":
        return None
    wanted = {first.name, second.name}
    return next((test for test in data.pairwise.tests if {test.first, test.second} == wanted), None)


def _reversed(difference: Estimate) -> Estimate:
    return difference._replace(value=-difference.value, low=-difference.high, high=-difference.low)


def _f1(scores: Scores) -> str:
    return f"F1 {number(scores.f1.value)} {interval(scores.f1)}"


def _scores(entry: Entry, split: str) -> Scores:
    scores = entry.test if split == "test" else entry.validation
    assert scores is not None
    return scores


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


def ranking_evidence(data: ReportData) -> list[tuple[str, RankingEvidence]]:
    """What is known of how sure each ranking is, with its title."""
    split = data.run.selection_split
    found = [
        (f"Candidates, by their screenings on {split}", data.screening_evidence),
        (f"Entries on {split}", data.final_evidence),
        ("Entries on test, where nothing was selected", data.test_evidence),
    ]
    return [(title, evidence) for title, evidence in found if evidence is not None]


def evidence_words(evidence: RankingEvidence) -> str:
    """A ranking's optimism and stability in sentences."""
    several = evidence.seeds > 1
    said = []
    if evidence.agreement is not None:
        by = "two halves of the questions, by different runs," if several else "two halves of the questions"
        said.append(
            f"Rankings by {by} agree with a rank correlation of {number(evidence.agreement, 2)} (1: alike, 0: chance)."
        )
    if evidence.optimism is not None:
        said.append(_optimism_words(evidence.optimism))
    if evidence.seed_optimism is not None:
        said.append(_optimism_words(evidence.seed_optimism))
    if not several:
        said.append(
            "With one run per entry the trained policies are taken as given: the luck of training is not in it."
        )
    return " ".join(said)


def _optimism_words(found: SelectionOptimism) -> str:
    where = "new questions" if found.over == "questions" else "new seeds and new questions"
    return (
        f"{found.name} was picked with an accuracy of {number(found.observed)}; repeating the selection on resampled "
        f"data puts what to expect on {where} at {number(found.corrected.value)} {interval(found.corrected)}, an "
        f"optimism of {signed_points(found.optimism)} points."
    )


def methods(data: ReportData) -> str:
    """A paragraph on what was done, from the run's facts alone."""
    run = data.run
    if run.methods:
        return run.methods
    rounds = {candidate.round for candidate in data.candidates} | {entry.number for entry in data.rounds}
    scored, total = len(ranked_candidates(data)), len(data.candidates)
    proposer = f"The proposer {run.proposer}" if run.proposer else "A proposer"
    sentences = [
        f"{proposer} wrote {counted(total, 'candidate reward function')} in {counted(len(rounds), 'round')}"
        + (f" (feedback between rounds: {run.feedback})." if run.feedback else ".")
    ]
    rejected = sum(candidate.status == "rejected" for candidate in data.candidates)
    failed = sum(candidate.status == "failed" for candidate in data.candidates)
    halted = len(stopped_candidates(data))
    gate = f" ({run.gate})" if run.gate else ""
    sentences.append(
        f"Each was checked in a sandbox{gate}; {counted(rejected, 'was', 'were')} rejected there and "
        f"{counted(failed, 'training run')} failed, and neither is ranked."
    )
    duplicates = sum(candidate.status == "duplicate" for candidate in data.candidates)
    screened = next((c.prescreening for c in data.candidates if c.prescreening), None)
    if screened is not None:
        sentences.append(
            f"Before training each was scored on {screened.rollouts + screened.unscored:,} rollouts of the untrained "
            f"base policy; {counted(duplicates, 'was', 'were')} not trained, because ranks and group-relative "
            "advantages were those of an earlier one. Intervals of these figures are jackknives over questions."
        )
    settings = joined([f"{s.name} {s.value}" for s in run.settings])
    sentences.append(
        f"The other {scored} were screened by GRPO on {run.base_model}, summed with the base rewards"
        + (f" ({settings})" if settings else "")
        + f", and ranked by F1 of greedy answers on the {run.selection_split} split of {run.task}."
    )
    flagged = sum(bool(candidate.flags) for candidate in data.candidates)
    if flagged:
        sentences.append(
            f"The training of {counted(flagged, 'candidate')} showed signs of reward hacking, found by fixed "
            "thresholds; a sign changes no rank."
        )
    if halted:
        sentences.append(
            f"{counted(halted, 'candidate was', 'candidates were')} stopped before that many steps by successive "
            "halving; scores of different numbers of steps are not ranked together."
        )
    shown = next((s for e in data.entries for s in (e.test, e.validation) if s), None)
    if shown is not None:
        split = "test" if any(e.test for e in data.entries) else "validation"
        how = (
            "intervals over seeds and questions come from two-way random effects"
            if len(shown.seeds) > 1
            else "intervals are BCa bootstraps over questions"
        )
        sentences.append(
            f"Entries of the leaderboard were trained anew with {counted(len(shown.seeds), 'fresh seed')} each and "
            f"evaluated on {shown.n:,} {split} questions; {how}."
        )
    sentences.append(
        "An answer counts as right if the strict extraction equals the gold answer; with TP right, FP wrong and FN "
        "unanswered questions, F1 = 2a / (1 + a) of the accuracy a, so both rank alike."
    )
    if data.pairwise is not None:
        count = len(data.pairwise.tests)
        sentences.append(
            f"The {counted(count, 'pairwise comparison')} on the {data.pairwise.split} split are McNemar tests of one "
            "run each (exact below 25 discordant questions, else chi-square with continuity correction), with "
            "Bonferroni's and Holm's correction over the family and Tango's score interval for the difference."
        )
        if data.pairwise.margin is not None:
            sentences.append(
                "Equivalence means two one-sided score tests with a margin of "
                f"{100 * data.pairwise.margin:g} points of accuracy."
            )
    return " ".join(sentences)
