"""The search from Python: `search.run(...)` runs one, `search.open_run(...)` reads what one has left.

See `docs/python.md`. Everything is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewards_generated.lazy import lazy_exports

if TYPE_CHECKING:
    from search.api import SearchResult, run
    from search.config.models import SearchConfig
    from search.config.source import load_config
    from search.events import Event, JobEnded, Note, PhaseStarted, RoundRanked
    from search.reader import RunReader, open_run

__all__ = [
    "Event",
    "JobEnded",
    "Note",
    "PhaseStarted",
    "RoundRanked",
    "RunReader",
    "SearchConfig",
    "SearchResult",
    "load_config",
    "open_run",
    "run",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(("SearchResult", "run"), "search.api"),
        **dict.fromkeys(("RunReader", "open_run"), "search.reader"),
        **dict.fromkeys(("Event", "JobEnded", "Note", "PhaseStarted", "RoundRanked"), "search.events"),
        "SearchConfig": "search.config.models",
        "load_config": "search.config.source",
    },
)
