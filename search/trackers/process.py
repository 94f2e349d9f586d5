"""The process that logs one search to one tracker: `python -P -m search.trackers.process RUN NAME`.

It reads the ledger, as any reader may, whenever that has changed, until a line or the end comes on its standard input:
the driver is done, or dead. What was logged is written down after every run, so that a resumed search logs only what
is missing. Exit code 1: the tracker failed, and the last line of the log says how.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import select
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rewards_generated.files import write_whole
from search.config.source import parse_config
from search.ledger import Ledger
from search.ledger.connection import mark
from search.results.ranking import outcomes
from search.trackers.base import TrackedSearch, Tracker, build_tracker
from search.trackers.figures import round_point, rounds_over, search_facts, search_point, tracked_run

LOOK_SECONDS = 2.0
LOG_FILE, STATE_FILE = "log.txt", "state.json"


def place_of(folder: Path, name: str) -> Path:
    """Of a tracker's log, its state and what it keeps itself, in a run directory."""
    return folder / "trackers" / name


def track(folder: Path, name: str, over: Callable[[float], bool]) -> None:
    """`over(seconds)`: waits so long, and says whether the driver is done."""
    place = place_of(folder, name)
    with _alone(place):
        with closing(Ledger.open(folder)) as ledger:
            config = parse_config(ledger.fact("config"))
        state = _State(place, config.name)
        tracker = build_tracker(name, TrackedSearch(state.group, search_facts(config), place))
        seen, ended = None, False
        while not ended:
            ended = over(LOOK_SECONDS)
            if (now := mark(folder)) != seen:
                _log(folder, tracker, state)
                seen = now
        tracker.close()


class _State:
    """What was logged."""

    def __init__(self, place: Path, search: str) -> None:
        self._file = place / STATE_FILE
        if self._file.exists():
            known: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
        else:
            known = {"group": f"{search}-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"}
        self.group: str = known["group"]
        self.rounds = set(known.get("rounds", ()))
        self.runs = {tuple(run) for run in known.get("runs", ())}

    def save(self) -> None:
        values = {"group": self.group, "rounds": sorted(self.rounds), "runs": sorted(self.runs)}
        write_whole(self._file, json.dumps(values, indent=1))


def _log(folder: Path, tracker: Tracker, state: _State) -> None:
    with closing(Ledger.open(folder)) as ledger:
        config = parse_config(ledger.fact("config"))  # more rounds than at the start, for example
        for place in ledger.places():
            if place not in state.runs:
                if (run := tracked_run(config, ledger, place)) is not None:
                    tracker.log_run(run)
                state.runs.add(place)
                state.save()
        every = outcomes(config, ledger)
        numbers = [number for number in rounds_over(ledger) if number not in state.rounds]
        points = [point for number in numbers if (point := round_point(config, number, every)) is not None]
        tracker.log_search([*points, search_point(config, ledger, every)])
        state.rounds.update(numbers)
        state.save()


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Waits for a process of the same search that is still ending."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    try:
        track(folder, name, lambda seconds: bool(select.select([sys.stdin], [], [], seconds)[0]))
    except Exception as error:  # noqa: BLE001 - whatever a tracker raises is told in one line, and the search goes on
        traceback.print_exc()
        print(" ".join(f"{type(error).__name__}: {error}".split()), file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
