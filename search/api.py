"""Running a search from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.config.models import SearchConfig
from search.config.source import load_config, parse_config, preset_names
from search.driver.drive import record_question, write_outputs
from search.driver.launch import new_run_folder, opened_run, require_free
from search.events import Event, EventProgress
from search.ledger import Ledger
from search.loop import search
from search.proposers.base import AwaitingAnswer
from search.reader import RunReader, open_run


@dataclass(frozen=True, slots=True)
class SearchResult:
    run_dir: Path
    winner: str | None
    """The ensemble named on the split that ranks; None if nothing was scored."""

    def reader(self) -> RunReader:
        """What the run has left; a context manager."""
        return open_run(self.run_dir)


def run(
    config: SearchConfig | Mapping[str, Any] | str | Path,
    run_dir: str | Path | None = None,
    resume: bool = False,
    trust: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> SearchResult:
    """Runs a search to its leaderboard and report, or what is left of one with `resume`.

    `config`: a configuration, its plain values, the name of a preset, or a YAML file. `run_dir` None: a new folder
    below `runs`. `trust`: resume a run that somebody else or another machine began, and import the code that it names.
    `on_event` is told of phases, jobs, rankings and notes as they come; nothing is printed.

    Raises UserError for what a user can have got wrong, before anything is written or paid, and where nothing could be
    scored in the end; AwaitingAnswer where the proposer `manual` waits for an answer. Interrupted, a run goes on with
    `resume=True`, under another `config` too where that mixes no results; the working folder of this process is
    meanwhile the one in which it was started.
    """
    chosen = _config(config)
    folder = new_run_folder(chosen) if run_dir is None else Path(run_dir)
    if not resume:
        require_free(folder)
    else:
        Ledger.open(folder).close()
    progress = EventProgress(on_event or (lambda event: None))
    with opened_run(folder, chosen, progress, resume=resume, trust=trust) as running:
        try:
            search(running)
        except AwaitingAnswer as waiting:
            record_question(running, waiting)
            raise
        write_outputs(running)
        named = running.ledger.milestone("winner_named")
        return SearchResult(folder, named.detail["name"] if named else None)


def _config(given: SearchConfig | Mapping[str, Any] | str | Path) -> SearchConfig:
    if isinstance(given, SearchConfig):
        return given
    if isinstance(given, Mapping):
        return parse_config(dict(given))
    if str(given) in preset_names():
        return load_config(str(given))
    return load_config(file=Path(given))
