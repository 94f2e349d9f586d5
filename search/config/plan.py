"""What a search will do, before it does it: jobs, steps, time and the cost of the language model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eval.statistics.luck import detectable_for_both
from eval.tasks.base import Split
from search.config.models import SearchConfig
from search.config.names import GREEDY
from search.config.race import further_runs
from search.config.suites import suites_of


@dataclass(frozen=True, slots=True)
class Plan:
    """Upper bounds: rejected candidates and ensembles that cannot be formed make a search shorter."""

    candidates: int
    screenings: int
    greedy_runs: int
    """Short runs of greedy selection."""
    retrainings: int
    transfers: int
    """Runs of the winner and of the base rewards alone under other settings."""
    steps: int
    """GRPO steps, all jobs together."""
    completions: int
    """Sampled in training."""
    evaluated_questions: int
    """Greedy answers, all policies and passes together; with successive halving those at its rungs too."""
    pool_answers: int
    """Sampled answers of the untrained policy, by which the questions that rank are put into strata."""


DEVIATION = 0.09
"""Between seeds of one recipe, in accuracy, as long as nothing was trained: on the testbed between 0.075 and 0.13."""
DISCORDANT = 0.3
"""Share of questions that two trained policies answer differently, likewise."""


@dataclass(frozen=True, slots=True)
class Detectable:
    """Smallest true differences in accuracy to the base rewards alone that a search shows with 80 % power, for new
    seeds and new questions; None: no such entries, or nothing is trained twice."""

    candidate: float | None
    finalist: float | None


def detectable(
    config: SearchConfig, questions: Mapping[Split, int], deviation: float = DEVIATION, seen: int = 0
) -> Detectable:
    """`questions`: how many the splits that decide have, at least two. `deviation`: between seeds, as the testbed
    showed it where nothing better is known; `seen`: degrees of freedom of it that earlier searches bring."""
    search, screening, finals = config.search, config.screening, config.finals
    controls = screening.control_runs
    freedom = seen + controls - 1 + search.rounds * search.candidates_per_round * (screening.seeds - 1)
    freedom += search.rounds * further_runs(screening.race, search.candidates_per_round)
    entries = _entries(config)
    retrained = finals.control_runs
    freedom += (entries - finals.base_only) * (finals.seeds - 1) + finals.base_only * (retrained - 1)
    if finals.base_only and config.final_steps == screening.grpo.steps:
        freedom += 1  # screened and retrained, the base rewards alone are one recipe
    if freedom == 0:
        return Detectable(None, None)
    selection, tested = questions[search.select_on], questions["test"]
    return Detectable(
        detectable_for_both(selection, (screening.seeds, controls), freedom, deviation, DISCORDANT),
        detectable_for_both(tested, (finals.seeds, retrained), freedom, deviation, DISCORDANT)
        if entries and finals.base_only
        else None,
    )


def _entries(config: SearchConfig) -> int:
    """Ensembles and controls that are retrained."""
    finals = config.finals
    return len(finals.ensembles) + finals.base_only + finals.random_controls.first_round + finals.random_controls.pool


def candidate_steps(config: SearchConfig) -> int:
    """GRPO steps of the screenings of one candidate, all seeds together; with successive halving on average."""
    screening, candidates = config.screening, config.search.candidates_per_round
    share = screening.halving.step_share(candidates, screening.grpo.steps)
    return round(share * screening.grpo.steps * screening.seeds)


def plan(config: SearchConfig) -> Plan:
    search, screening, finals = config.search, config.screening, config.finals
    halving, candidates = screening.halving, search.candidates_per_round
    controls = screening.control_runs
    raced = search.rounds * further_runs(screening.race, candidates)
    screenings = search.rounds * candidates * screening.seeds + raced + controls
    entries = _entries(config)
    more = finals.base_only * (finals.control_runs - finals.seeds)
    retrainings = (entries + (finals.other_steps is not None)) * finals.seeds + more
    round_share = halving.step_share(candidates, screening.grpo.steps) * candidates
    tried = greedy_runs(config)
    steps = round(search.rounds * round_share * screening.grpo.steps) * screening.seeds
    steps += (controls + raced) * screening.grpo.steps
    steps += tried * config.greedy_steps + (entries * finals.seeds + more) * config.final_steps
    steps += (finals.other_steps or 0) * finals.seeds
    transfers = transfer_runs(config)
    steps += transfers * config.final_steps
    # Every candidate that comes to a rung is evaluated there, and so is the control; the last place is the end.
    at_rungs = search.rounds * sum(halving.candidates_at(candidates)) * screening.seeds
    at_rungs += (1 + len(halving.rungs)) * controls + raced
    passes = 1 if config.second_turn is None else 2
    tested = 0 if search.select_on == "test" else finals.test_questions * (retrainings + 1)
    tested += finals.test_questions * transfers
    suites = suites_of(config)
    tested += (
        finals.ood_questions * (len(suites) + sum(suite.matched is not None for suite in suites)) * (retrainings + 1)
    )
    return Plan(
        candidates=search.rounds * search.candidates_per_round,
        screenings=screenings,
        greedy_runs=tried,
        retrainings=retrainings,
        transfers=transfers,
        steps=steps,
        completions=screening.completions(steps),
        pool_answers=0
        if screening.question_strata is None
        else config.question_pool * search.base_rollouts.per_question,
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


def transfer_runs(config: SearchConfig) -> int:
    """Of the winner and of the base rewards alone, under all settings of `finals.transfer`."""
    return len(config.finals.transfer) * (config.finals.seeds + config.finals.control_runs)
