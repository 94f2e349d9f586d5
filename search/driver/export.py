"""An ensemble of a run, or a saved one, exported with what the ledger knows of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from eval.report.data import Entry, Scores
from eval.report.leaderboard import entry_remark, format_estimate, luck_words
from rewards_generated.ensemble import how_found, load, saved_names
from rewards_generated.errors import UserError
from rewards_generated.export import Figure, Provenance, export_ensemble, require_empty
from rewards_generated.hosts.reading import is_file
from search.config.models import SearchConfig
from search.driver.launch import recorded_config
from search.driver.take_home import finalist_named
from search.ledger import Candidate, Finalist, Ledger
from search.results.entries import final_entries
from search.results.notes import notes
from search.results.ranking import control_scores, final_seeds_of, outcomes


def export(source: str, name: str | None, target: Path) -> Path:
    """Exports the ensemble or candidate `name` of the run in the folder `source` (None: its named winner), or a saved
    ensemble.

    `source` may be the folder of a run, a TOML file, a folder with `ensemble.toml`, the name of a saved ensemble, or a
    Python file of rewards, `FILE.py` or `FILE.py:NAME`.
    Raises UserError.
    """
    require_empty(target)
    folder = Path(source)
    if folder.is_dir() and (name is not None or Ledger.exists(folder)):
        return _export_of_run(folder, name, target)
    if name is not None:
        raise UserError(f"{source} is not the folder of a run, so --ensemble {name} cannot be looked up in it")
    if is_file(source):
        return export_ensemble(load(source), target)
    if not folder.exists() and source not in saved_names():
        saved = ", ".join(saved_names()) or "none"
        raise UserError(f"{source!r} is neither the folder of a run, a TOML file nor a saved ensemble (saved: {saved})")
    found = how_found(source)
    return export_ensemble(load(source), target, provenance=Provenance(found=found) if found else None)


def _export_of_run(folder: Path, name: str | None, target: Path) -> Path:
    config = recorded_config(folder)
    with closing(Ledger.open(folder)) as ledger:
        finalist = finalist_named(folder, config, ledger, name)
        members = {candidate.name: candidate for candidate in ledger.candidates()}
        return export_ensemble(
            finalist.ensemble,
            target,
            verdicts=ledger.member_verdicts(),
            provenance=_provenance(config, ledger, finalist, members),
            settings=config.gate,
            sandbox=config.sandbox,
        )


def _provenance(
    config: SearchConfig, ledger: Ledger, finalist: Finalist, candidates: dict[str, Candidate]
) -> Provenance:
    every = list(candidates.values())
    members = [candidates[name] for name in finalist.candidates]
    started = ledger.milestone("started")
    when = f" of {started.at:%Y-%m-%d}" if started else ""
    kinds = {"control": f"control ({finalist.control})", "candidate": "candidate with the base rewards"}
    kind = kinds.get(finalist.kind, "selected ensemble")
    found = [
        f"Entry {finalist.name!r}, a {kind}, of the search {config.name!r}{when}: task {config.task.name}, base "
        f"model {config.base_model}, seed {config.seed}, configuration {ledger.fact('config_digest')}.",
        f"The proposer {config.proposer.name} wrote {len(every)} candidates in {len(ledger.rounds())} rounds "
        f"(feedback: {config.search.feedback}); each that passed the gate was screened by "
        f"{config.screening.grpo.steps} GRPO steps and ranked on the {config.search.select_on} split.",
    ]
    if finalist.kind != "candidate":
        seeds = len(final_seeds_of(config, finalist.name))
        found.append(f"The ensemble was trained for {finalist.steps} steps with {seeds} seeds of its own.")
    if config.task.name == "testbed":
        found.append(
            "The testbed is a task and a policy made so that the design of the reward matters: figures on it say how "
            "well a search works, and nothing about other tasks or models."
        )
    return Provenance(
        found=found,
        figures=_screening_figures(config, ledger, finalist.name)
        if finalist.kind == "candidate"
        else [figure for entry in final_entries(config, ledger) for figure in _figures(entry, finalist.name)],
        notes=[_held(config, ledger, finalist), *notes(config, ledger)],
        origins={member.name: item.origin for item in members for member in item.members},
        descriptions={item.name: item.description for item in members},
    )


def _held(config: SearchConfig, ledger: Ledger, finalist: Finalist) -> str:
    """Which luck the brackets of the figures hold."""
    if finalist.kind == "candidate":
        shown: list[Scores | None] = [o.scores for o in outcomes(config, ledger) if o.candidate.name == finalist.name]
    else:
        entries = [entry for entry in final_entries(config, ledger) if entry.name == finalist.name]
        shown = [scores for entry in entries for scores in (entry.test, entry.validation)]
    said = luck_words(shown)
    return f"{said[0].upper()}{said[1:]}."


def _screening_figures(config: SearchConfig, ledger: Ledger, name: str) -> list[Figure]:
    """Of the candidate and of the base rewards alone, in screening."""
    scores = {item.candidate.name: item.scores for item in outcomes(config, ledger) if item.candidate.name == name}
    scores |= control_scores(config, ledger)
    return [
        Figure(
            entry=f"{entry} (this one)" if entry == name else entry,
            split=config.search.select_on,
            accuracy=format_estimate(found.accuracy),
            f1=format_estimate(found.f1),
            questions=found.n,
            seeds=len(found.seeds),
            remark="screening",
        )
        for entry, found in scores.items()
        if found is not None
    ]


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
