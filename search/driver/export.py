"""An ensemble of a run, or a saved one, exported with what the ledger knows of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from eval.report.data import Entry, Scores
from eval.report.leaderboard import entry_remark, format_estimate
from rewards_generated.ensemble import how_found, load, saved_names
from rewards_generated.errors import UserError
from rewards_generated.export import Figure, Provenance, export_ensemble, require_empty
from search.config.models import SearchConfig
from search.driver.launch import recorded_config
from search.ledger import Candidate, Finalist, Ledger
from search.results.entries import final_entries
from search.results.notes import notes


def export(source: str, name: str | None, target: Path) -> Path:
    """Exports the ensemble `name` of the run in the folder `source` (None: its named winner), or a saved ensemble.

    `source` may be the folder of a run, a TOML file, a folder with `ensemble.toml`, or the name of a saved ensemble.
    Raises UserError.
    """
    require_empty(target)
    folder = Path(source)
    if folder.is_dir() and (name is not None or Ledger.exists(folder)):
        return _export_of_run(folder, name, target)
    if name is not None:
        raise UserError(f"{source} is not the folder of a run, so --ensemble {name} cannot be looked up in it")
    if not folder.exists() and source not in saved_names():
        saved = ", ".join(saved_names()) or "none"
        raise UserError(f"{source!r} is neither the folder of a run, a TOML file nor a saved ensemble (saved: {saved})")
    found = how_found(source)
    return export_ensemble(load(source), target, provenance=Provenance(found=found) if found else None)


def _export_of_run(folder: Path, name: str | None, target: Path) -> Path:
    config = recorded_config(folder)
    with closing(Ledger.open(folder)) as ledger:
        finalist = _finalist(folder, ledger, name)
        members = {candidate.name: candidate for candidate in ledger.candidates()}
        verdicts = ledger.verdicts()
        return export_ensemble(
            finalist.ensemble,
            target,
            verdicts={name: verdicts[name] for name in members if name in verdicts},
            provenance=_provenance(config, ledger, finalist, members),
            settings=config.gate,
            sandbox=config.sandbox,
        )


def _finalist(folder: Path, ledger: Ledger, name: str | None) -> Finalist:
    finalists = {finalist.name: finalist for finalist in ledger.finalists()}
    if not finalists:
        raise UserError(
            f"{folder} has no ensembles yet; they are fixed after the last round: see `reward-search status`"
        )
    listed = ", ".join(finalists)
    if name is None:
        named = ledger.milestone("winner_named")
        name = named.detail["name"] if named else None
        if name is None:
            raise UserError(f"{folder} has no named winner; choose with --ensemble one of: {listed}")
    if name not in finalists:
        raise UserError(f"{folder} has no ensemble {name!r}; choose one of: {listed}")
    return finalists[name]


def _provenance(
    config: SearchConfig, ledger: Ledger, finalist: Finalist, candidates: dict[str, Candidate]
) -> Provenance:
    every = list(candidates.values())
    members = [candidates[name] for name in finalist.candidates]
    started = ledger.milestone("started")
    when = f" of {started.at:%Y-%m-%d}" if started else ""
    kind = f"control ({finalist.control})" if finalist.kind == "control" else "selected ensemble"
    found = [
        f"Entry {finalist.name!r}, a {kind}, of the search {config.name!r}{when}: task {config.task.name}, base "
        f"model {config.base_model}, seed {config.seed}, configuration {ledger.fact('config_digest')}.",
        f"The proposer {config.proposer.name} wrote {len(every)} candidates in {len(ledger.rounds())} rounds "
        f"(feedback: {config.search.feedback}); each that passed the gate was screened by "
        f"{config.screening.grpo.steps} GRPO steps and ranked on the {config.search.select_on} split.",
        f"The ensemble was trained for {finalist.steps} steps with {config.finals.seeds} seeds of its own.",
    ]
    if config.task.name == "testbed":
        found.append(
            "The testbed is a task and a policy made so that the design of the reward matters: figures on it say how "
            "well a search works, and nothing about other tasks or models."
        )
    return Provenance(
        found=found,
        figures=[figure for entry in final_entries(config, ledger) for figure in _figures(entry, finalist.name)],
        notes=notes(config, ledger),
        origins={item.name: item.origin for item in members},
        descriptions={item.name: item.description for item in members},
    )


def _figures(entry: Entry, exported: str) -> list[Figure]:
    """Of the exported entry and of the controls, which it has to be compared with."""
    if entry.name != exported and entry.kind != "control":
        return []
    name = f"{entry.name} (this one)" if entry.name == exported else entry.name
    splits: tuple[tuple[str, Scores | None], ...] = (("test", entry.test), ("validation", entry.validation))
    figures = [
        Figure(
            entry=name,
            split=split,
            accuracy=format_estimate(scores.accuracy),
            f1=format_estimate(scores.f1),
            questions=scores.n,
            seeds=len(scores.seeds),
            remark=entry_remark(entry),
        )
        for split, scores in splits
        if scores is not None
    ]
    return figures or [Figure(name, "—", "—", "—", 0, 0, entry_remark(entry))]
