"""What a run has made, by name: an ensemble, or a candidate beside the base rewards as it was screened."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from rewards_generated.ensemble import Ensemble, load
from rewards_generated.errors import UserError, nearest
from search.config.models import SearchConfig
from search.driver.launch import recorded_config
from search.finals.ensembles import ensemble_of
from search.ledger import Candidate, Finalist, Ledger


def ensemble_named(text: str) -> Ensemble:
    """`RUN:NAME`, or whatever `rewards_generated.load` reads. Raises UserError."""
    run, colon, name = text.rpartition(":")
    if not colon or not Path(run).is_dir() or not Ledger.exists(Path(run)):
        return load(text)
    folder = Path(run)
    config = recorded_config(folder)
    with closing(Ledger.open(folder)) as ledger:
        return finalist_named(folder, config, ledger, name).ensemble


def finalist_named(folder: Path, config: SearchConfig, ledger: Ledger, name: str | None) -> Finalist:
    """A finalist, or a candidate as one; None: the named winner. Raises UserError."""
    finalists = {finalist.name: finalist for finalist in ledger.finalists()}
    candidates = {candidate.name: candidate for candidate in ledger.candidates()}
    if name is None:
        named = ledger.milestone("winner_named")
        name = named.detail["name"] if named else None
        if name is None:
            listed = ", ".join(finalists) or "none yet, they are fixed after the last round"
            raise UserError(f"{folder} has no named winner; choose an ensemble ({listed}) or a candidate by its name")
    if name in finalists:
        return finalists[name]
    if name in candidates:
        return _screened(config, candidates[name])
    raise UserError(f"{folder} has no ensemble and no candidate {name!r}: {nearest(name, [*finalists, *candidates])}")


def _screened(config: SearchConfig, candidate: Candidate) -> Finalist:
    alone = config.model_copy(update={"finals": config.finals.model_copy(update={"aggregation": "sum"})})
    return Finalist(
        name=candidate.name,
        kind="candidate",
        candidates=(candidate.name,),
        ensemble=ensemble_of(alone, candidate.name, [candidate], freeze=tuple),
        steps=config.screening.grpo.steps,
    )
