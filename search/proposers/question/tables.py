"""Earlier candidates as tables and lists of a prompt; without what says the same in every row."""

from __future__ import annotations

from collections.abc import Sequence

from eval.prescreening import PreScreening
from search.proposers.base import FailedCandidate, Feedback, ProposedCandidate, RankedCandidate
from search.proposers.question.evidence import QuestionKind, ReferenceScore, Training
from search.proposers.settings import PromptSettings

ALWAYS = ("rank", "name", "F1 [95 %]", "accuracy", "what it rewards")
"""Columns that stay, whatever they say."""
_FLAGGED_SHOWN = 8


def markdown(rows: Sequence[dict[str, str]]) -> str:
    """All with the keys of the first, which are the heading."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([row[column] for column in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ranking_rows(ranked: Sequence[RankedCandidate], settings: PromptSettings) -> list[dict[str, str]]:
    """In the order given, without the columns and notes that say the same of all; too long a table loses its middle."""
    told = _notes(ranked)
    rows = [
        {
            "rank": str(place),
            "name": cell(item.name),
            "round": str(item.round),
            "family": cell(item.family) or "-",
            "F1 [95 %]": f"{item.f1:.3f} [{item.f1_low:.3f}, {item.f1_high:.3f}]",
            "accuracy": f"{item.accuracy:.3f}",
            "extraction": f"{item.extraction_rate:.2f}",
            "firing": "unknown" if item.firing_rate is None else f"{item.firing_rate:.2f}",
            "tokens": f"{item.mean_completion_tokens:.0f}",
            **_before_training(item.prescreening),
            "what it rewards": cell(item.description, settings.description_characters) or "-",
            "notes": ", ".join(cell(note.partition(":")[0]) for note in notes) or "-",
        }
        for place, (item, notes) in enumerate(zip(ranked, told, strict=True), start=1)
    ]
    unknown = {"AUC", "in group", "spread", "length", "notes"}
    for column in [name for name in (rows[0] if rows else ()) if name not in ALWAYS]:
        said = {row[column] for row in rows}
        if len(said) == 1 and (len(rows) > 1 or (column in unknown and said == {"-"})):
            for row in rows:
                del row[column]
    left_out = len(rows) - settings.table_rows
    if left_out <= 0:
        return rows
    end = settings.table_rows // 4
    gap = dict.fromkeys(rows[0], "") | {"rank": "…", "name": f"{left_out} more"}
    return [*rows[: settings.table_rows - end], gap, *rows[len(rows) - end :]]


def notes_explained(ranked: Sequence[RankedCandidate]) -> str:
    """What a note of the table means, by the words that it has for the first that has it."""
    found: dict[str, str] = {}
    for notes in _notes(ranked):
        for note in notes:
            name, colon, words = note.partition(":")
            if colon:
                found.setdefault(name, words)
    return "\n".join(f"- {cell(name)}: {cell(words, 160)}" for name, words in found.items())


def reference_table(scores: Sequence[ReferenceScore]) -> str:
    return markdown(
        [
            {
                "policy": score.name,
                "F1 [95 %]": f"{score.f1:.3f} [{score.f1_ends[0]:.3f}, {score.f1_ends[1]:.3f}]",
                "accuracy [95 %]": f"{score.accuracy:.3f} [{score.accuracy_ends[0]:.3f}, {score.accuracy_ends[1]:.3f}]",
                "extraction": f"{score.extraction_rate:.2f}",
                "tokens": f"{score.mean_completion_tokens:.0f}",
                "interval covers": "questions; it is not trained"
                if not score.runs
                else f"questions and training luck, {score.runs} runs"
                if score.luck_known
                else f"questions only, {score.runs} run{'s' if score.runs > 1 else ''}",
            }
            for score in scores
        ]
    )


def unscored(feedback: Feedback, settings: PromptSettings, told: frozenset[str]) -> str:
    """A line for each that was rejected, failed, was a near-duplicate or was stopped; of too many the latest. `told`:
    those whose reasons stand elsewhere."""
    lines = [(item.round, _failure(item, settings, item.name in told)) for item in feedback.failed]
    lines += [
        (
            item.round,
            f"{_who(item, settings)} Stopped after {item.stopped_after} steps with F1 {item.f1:.3f} "
            f"[{item.f1_low:.3f}, {item.f1_high:.3f}], since others of its round did better there.",
        )
        for item in feedback.stopped
    ]
    return _latest(lines, settings.table_rows)


def proposed(candidates: Sequence[ProposedCandidate], settings: PromptSettings) -> str:
    """Names and descriptions, in the order of proposal."""
    return _latest([(item.round, _who(item, settings)) for item in candidates], settings.table_rows)


def signs(feedback: Feedback, told: frozenset[str]) -> str:
    """What training did with candidates that were exploited, the best ranked first: they mislead most. Without those
    whose signs are told elsewhere."""
    flagged = [item for item in (*feedback.ranked, *feedback.stopped) if item.flags and item.name not in told]
    return "\n".join(
        f"- {cell(item.name)}: " + "; ".join(f"{flag.name} ({flag.detail})" for flag in item.flags)
        for item in flagged[:_FLAGGED_SHOWN]
    )


def curve(training: Training) -> str:
    return markdown(
        [
            {
                "steps": f"{point.first_step}-{point.last_step}",
                "reward": _figure(point.reward),
                "candidate": _figure(point.component),
                "accuracy": _figure(point.accuracy),
                "tokens": _figure(point.completion_tokens, 0),
            }
            for point in training.curve
        ]
    )


def kinds(found: Sequence[QuestionKind]) -> str:
    return markdown(
        [
            {
                "questions where": cell(item.kind, 80),
                "how many": str(item.questions),
                "untrained": _figure(item.untrained),
                "base rewards only": _figure(item.base_only),
                "leader": _figure(item.leader),
            }
            for item in found
        ]
    )


def cell(text: str, characters: int = 80) -> str:
    """On one line, without what ends a cell."""
    line = " ".join(text.replace("|", "/").split())
    return line if len(line) <= characters else f"{line[:characters].rstrip()} …"


def _figure(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _notes(ranked: Sequence[RankedCandidate]) -> list[list[str]]:
    """Of each row, without those of a check that speaks of every row, which tell nobody apart."""

    def check(note: str) -> str:
        return note.partition(":")[0]

    everywhere: set[str] = set()
    if len(ranked) > 1:
        everywhere = set.intersection(*({check(note) for note in item.notes} for item in ranked))
    return [[note for note in item.notes if check(note) not in everywhere] for item in ranked]


def _before_training(found: PreScreening | None) -> dict[str, str]:
    """The four cells of the pre-screen."""
    shares = {
        "AUC": found.auc if found else None,
        "in group": found.preference if found else None,
        "spread": found.spread if found else None,
    }
    length = "-" if found is None or found.length is None else f"{found.length.value:+.2f}"
    return {name: "-" if share is None else f"{share.value:.2f}" for name, share in shares.items()} | {"length": length}


def _who(item: FailedCandidate | RankedCandidate | ProposedCandidate, settings: PromptSettings) -> str:
    described = cell(item.description, settings.description_characters)
    of = f"round {item.round}" + (f", {cell(item.family)}" if item.family else "")
    return f"- {cell(item.name)} ({of}){f': {described}' if described else ''}"


def _failure(item: FailedCandidate, settings: PromptSettings, told: bool) -> str:
    reason = "see below" if told else cell("; ".join(item.reasons), settings.description_characters)
    return f"{_who(item, settings)} — {reason}"


def _latest(lines: Sequence[tuple[int, str]], count: int) -> str:
    """Of too many lines those of the last rounds, in order of rounds."""
    ordered = [line for _, line in sorted(lines, key=lambda pair: pair[0])]
    left_out = len(ordered) - count
    return "\n".join(([f"- … {left_out} earlier ones"] if left_out > 0 else []) + ordered[max(0, left_out) :])
