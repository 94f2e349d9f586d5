"""Reading a run directory from Python: tables, sources, ensembles, the report. Nothing in it is executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewards_generated.ensemble import Ensemble
from rewards_generated.errors import UserError, nearest
from search.config.models import SearchConfig
from search.driver.launch import recorded_config
from search.driver.status import state
from search.ledger import Ledger, is_driven
from search.results.ranking import outcomes
from search.results.report import leaderboard_text, write_report

if TYPE_CHECKING:
    import pandas


def open_run(path: str | Path) -> RunReader:
    """Raises UserError if there is no run in the folder, or it is of another version."""
    return RunReader(Path(path))


class RunReader:
    """What a search has recorded so far, whether it runs, was stopped or is finished; a context manager.

    In all tables what is unscored is missing (None or NaN), never 0.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: SearchConfig = recorded_config(folder)
        self._ledger = Ledger.open(folder)

    def __enter__(self) -> RunReader:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    def close(self) -> None:
        self._ledger.close()

    @property
    def status(self) -> str:
        """What the run is doing, and what can be done next."""
        return state(self.folder, self._ledger)

    def leaderboard(self) -> pandas.DataFrame:
        """The finalists, before the winner is named the candidates; one row each, in the order of the leaderboard, with
        the fields of leaderboard.json."""
        import pandas

        return pandas.json_normalize(json.loads(leaderboard_text(self.config, self._ledger, "json")), sep="_")

    def candidates(self) -> pandas.DataFrame:
        """Every candidate in the order of proposal; scores are those of its screening on the split that ranks."""
        rows = []
        for item in outcomes(self.config, self._ledger):
            scores, candidate = item.scores, item.candidate
            rows.append(
                {
                    "name": candidate.name,
                    "round": candidate.round,
                    "status": item.status,
                    "family": candidate.family,
                    "origin": candidate.origin,
                    "description": candidate.description,
                    "f1": scores.f1.value if scores else None,
                    "f1_low": scores.f1.low if scores else None,
                    "f1_high": scores.f1.high if scores else None,
                    "accuracy": scores.accuracy.value if scores else None,
                    "seeds": len(scores.seeds) if scores else 0,
                    "reasons": "; ".join(item.reasons),
                    "signs_of_hacking": ", ".join(flag.name for flag in item.flags),
                }
            )
        return _frame(rows)

    def predictions(self) -> pandas.DataFrame:
        """Every recorded answer: which policy (`stage`, `subject`, `seed`), which question, and how it was judged."""
        rows = []
        for evaluation in self._ledger.evaluations():
            place = {
                "stage": evaluation.stage,
                "subject": evaluation.subject,
                "seed": evaluation.seed,
                "split": evaluation.split,
                "rung": evaluation.rung,
            }
            for prediction in self._ledger.completions(evaluation):
                rows.append({**place, **prediction.model_dump(exclude={"earlier"})})
        return _frame(rows)

    def rollouts(self) -> pandas.DataFrame:
        """The completions that were kept of every training run, with the total reward; members' scores as
        `score: NAME`."""
        rows = []
        for record in self._ledger.jobs():
            for sample in record.result.get("samples", ()):
                scores = {f"score: {name}": value for name, value in sample.pop("scores").items()}
                place = {"stage": record.stage, "subject": record.subject, "seed": record.seed}
                rows.append({**place, **sample, **scores})
        return _frame(rows)

    def source(self, candidate: str) -> str:
        """The code of a candidate, of a set its TOML. Raises UserError if there is none of that name."""
        sources = {item.name: item.code for item in self._ledger.candidates()}
        if candidate not in sources:
            raise UserError(f"{self.folder} has no candidate {candidate!r}: {nearest(candidate, sources)}")
        return sources[candidate]

    def ensemble(self, name: str | None = None) -> Ensemble:
        """A finalist's ensemble; None: the named winner's. Raises UserError if there is none."""
        finalists = {item.name: item.ensemble for item in self._ledger.finalists()}
        if name is None:
            named = self._ledger.milestone("winner_named")
            name = named.detail["name"] if named else None
            if name is None:
                raise UserError(f"{self.folder} has no named winner")
        if name not in finalists:
            raise UserError(f"{self.folder} has no ensemble {name!r}: {nearest(name, finalists)}")
        return finalists[name]

    def report(self, path: str | Path) -> Path:
        """Writes the report as one HTML file."""
        return write_report(self.config, self._ledger, Path(path), running=is_driven(self.folder))


def _frame(rows: list[dict[str, Any]]) -> pandas.DataFrame:
    import pandas

    return pandas.DataFrame(rows)
