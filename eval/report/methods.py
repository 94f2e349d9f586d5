"""What was done, in paragraphs fit for a paper, from the run's facts alone."""

from __future__ import annotations

from collections import Counter

from eval.report.data import ReportData
from eval.report.ranking import is_random_draw, ranked_candidates, stopped_candidates
from eval.report.templates import paragraphs


def methods(data: ReportData) -> list[str]:
    """Paragraphs: search, training, selection and test, statistics."""
    return paragraphs(
        "methods.txt.j2",
        data=data,
        run=data.run,
        protocol=data.run.protocol,
        rounds={candidate.round for candidate in data.candidates} | {entry.number for entry in data.rounds},
        counts=Counter(candidate.status for candidate in data.candidates),
        scored=len(ranked_candidates(data)),
        halted=len(stopped_candidates(data)),
        prescreening=next((c.prescreening for c in data.candidates if c.prescreening), None),
        draws=sum(map(is_random_draw, data.entries)),
        shown=next((scores for entry in data.entries for scores in (entry.test, entry.validation) if scores), None),
    )
