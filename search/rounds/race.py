"""Racing over seeds: the first of a round are screened over further seeds before they are compared with others.

Stages of rising numbers of runs for falling numbers of candidates, as in sequential halving (Karnin, Koren and Somekh
2013, Almost Optimal Exploration in Multi-Armed Bandits). All raced candidates of a search share their further seeds.
"""

from __future__ import annotations

from search.config.names import RACES
from search.results.ranking import outcomes, ranked
from search.rounds.screening import train_further
from search.session import Run


def race(run: Run, number: int) -> None:
    """The stages of one round. Who goes on is written down before it is trained, so that a resumed search goes on with
    the same."""
    stages = run.config.screening.race
    for position, stage in enumerate(stages):
        key, races = f"{number}.{position}", run.ledger.fact(RACES) or {}
        if key not in races:
            before = races.get(f"{number}.{position - 1}")
            order = [
                outcome.candidate.name
                for outcome in ranked(outcomes(run.config, run.ledger))
                if outcome.candidate.round == number and (before is None or outcome.candidate.name in before)
            ]
            races = {**races, key: order[: stage.places(len(order))] if order else []}
            run.ledger.record_fact(RACES, races)
        raced = {c.name: c for c in run.ledger.candidates(number) if c.name in races[key]}
        label = f"round {number} of {run.config.search.rounds}: racing"
        train_further(run, f"{label}, stage {position + 1} of {len(stages)}", raced)
