"""What a search will do, before it does it: jobs, steps, time and the cost of the language model."""

from __future__ import annotations

from dataclasses import dataclass

from search.config.models import SearchConfig
from search.config.names import GREEDY
from search.config.suites import suites_of


@dataclass(frozen=True, slots=True)
class Plan:
    """Upper bounds: rejected candidates and ensembles that cannot be formed make a search shorter."""

    candidates: int
    screenings: int
    greedy_runs: int
    """Short runs of greedy selection."""
    retrainings: int
    steps: int
    """GRPO steps, all jobs together."""
    completions: int
    """Sampled in training."""
    evaluated_questions: int
    """Greedy answers, all policies and passes together; with successive halving those at its rungs too."""


def candidate_steps(config: SearchConfig) -> int:
    """GRPO steps of the screenings of one candidate, all seeds together; with successive halving on average."""
    screening, candidates = config.screening, config.search.candidates_per_round
    share = screening.halving.step_share(candidates, screening.grpo.steps)
    return round(share * screening.grpo.steps * screening.seeds)


def plan(config: SearchConfig) -> Plan:
    search, screening, finals = config.search, config.screening, config.finals
    halving, candidates = screening.halving, search.candidates_per_round
    controls = max(screening.seeds, screening.control_seeds)
    screenings = search.rounds * search.candidates_per_round * screening.seeds + controls
    entries = (
        len(finals.ensembles) + finals.base_only + finals.random_controls.first_round + finals.random_controls.pool
    )
    retrainings = (entries + (finals.other_steps is not None)) * finals.seeds
    round_share = halving.step_share(candidates, screening.grpo.steps) * candidates
    tried = greedy_runs(config)
    steps = round(search.rounds * round_share * screening.grpo.steps) * screening.seeds
    steps += controls * screening.grpo.steps
    steps += tried * config.greedy_steps + entries * finals.seeds * config.final_steps
    steps += (finals.other_steps or 0) * finals.seeds
    # Every candidate that comes to a rung is evaluated there, and so is the control; the last place is the end.
    at_rungs = search.rounds * sum(halving.candidates_at(candidates)) * screening.seeds
    at_rungs += (1 + len(halving.rungs)) * controls
    passes = 1 if config.second_turn is None else 2
    tested = 0 if search.select_on == "test" else finals.test_questions * (retrainings + 1)
    suites = suites_of(config)
    tested += (
        finals.ood_questions * (len(suites) + sum(suite.matched is not None for suite in suites)) * (retrainings + 1)
    )
    return Plan(
        candidates=search.rounds * search.candidates_per_round,
        screenings=screenings,
        greedy_runs=tried,
        retrainings=retrainings,
        steps=steps,
        completions=screening.completions(steps),
        evaluated_questions=passes * (config.selection_questions * (at_rungs + tried + retrainings + 1) + tested),
    )


def greedy_runs(config: SearchConfig) -> int:
    """Short runs of greedy selection at most; 0 where it is not among the ensembles."""
    if GREEDY not in config.finals.ensembles:
        return 0
    settings = config.finals.greedy
    candidates = config.search.rounds * config.search.candidates_per_round
    tried = sum(min(settings.short_list, candidates - taken) for taken in range(min(settings.size_limit, candidates)))
    return tried * config.greedy_seeds
