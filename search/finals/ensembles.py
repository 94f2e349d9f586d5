"""Which ensembles are retrained after the last round, and which controls they are compared with."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rewards_generated.ensemble import Ensemble, Member
from search.config.checks import answers_of
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, DECORRELATED, GREEDY, RANDOM
from search.jobs.descriptions import members_with
from search.ledger import Candidate, Finalist
from trainer.determinism import derived_seed

Freeze = Callable[[Sequence[Member]], tuple[Member, ...]]
"""Gives the members mean and standard deviation over the base rollouts, which `zscore` needs."""

FAMILY_SIZE = 5
"""Most members of the correctness-family ensemble."""
OTHER_STEPS_SIZE = 5
"""Members of the ensemble that is also trained with another number of steps (the paper's 300-step final)."""


def choose_ensembles(
    config: SearchConfig,
    ranked: Sequence[Candidate],
    freeze: Freeze,
    measured: Mapping[str, Sequence[Candidate]] | None = None,
) -> list[Finalist]:
    """The configured ensembles that the scored candidates, best first, allow; then those listed apart; then the
    base rewards alone. One of the same members as an earlier one is kept with `same_as`. With too few candidates
    for any of them, all that there are make one.

    `measured`: members of those that take more than the ranking, `greedy` and `decorrelated-N`, by name.
    """
    chosen: list[Finalist] = []
    for name in config.finals.ensembles:
        members = (measured or {}).get(name) or _members(name, ranked)
        if members:
            chosen.append(_finalist(config, name, members, freeze))
    if not chosen and ranked:
        chosen.append(_finalist(config, f"top-{len(ranked)}", ranked, freeze))
    if config.finals.other_steps is not None and ranked:
        size = min(OTHER_STEPS_SIZE, len(ranked))
        steps = config.finals.other_steps
        chosen.append(
            _finalist(
                config,
                f"top-{size}-at-{steps}-steps",
                ranked[:size],
                freeze,
                steps=steps,
                listed_apart=f"trained for {steps} steps, the others for {config.final_steps}",
            )
        )
    if config.finals.base_only or not chosen:
        chosen.append(_finalist(config, BASE_ONLY, (), freeze, control="base rewards only"))
    return mark_repeated(chosen, ())


def decorrelated(
    ranked: Sequence[Candidate], size: int, bound: float, correlation: Callable[[Candidate, Candidate], float]
) -> list[Candidate]:
    """Down the ranking, the first `size` whose absolute correlation with everyone taken before is below the bound.

    Empty if there are fewer.
    """
    taken: list[Candidate] = []
    for candidate in ranked:
        if len(taken) < size and all(abs(correlation(candidate, other)) < bound for other in taken):
            taken.append(candidate)
    return taken if len(taken) == size else []


def draw_controls(
    config: SearchConfig, size: int, scored: Sequence[Candidate], earlier: Sequence[Finalist], freeze: Freeze
) -> list[Finalist]:
    """Random draws of `size` candidates, from the first round alone and from all scored ones, apart.

    No set is drawn twice within a pool, and none is the winner's own, which is what they are compared with. A pool
    with too few candidates gives fewer draws, or none.
    """
    wanted = config.finals.random_controls
    first_round = [candidate for candidate in scored if candidate.round == 1]
    taken = [frozenset(item.candidates) for item in earlier if item.kind == "selected"]
    controls: list[Finalist] = []
    for label, pool, count in (("first-round", first_round, wanted.first_round), ("pool", scored, wanted.pool)):
        draws = _draws(pool, size, count, taken, derived_seed(config.seed, "random control", label, bits=31))
        where = "the first round" if label == "first-round" else "all rounds"
        for number, members in enumerate(draws, start=1):
            controls.append(
                _finalist(
                    config,
                    f"{RANDOM}{label}-{number}",
                    members,
                    freeze,
                    control=f"random draw {number} of {len(draws)} from {where}",
                )
            )
    return mark_repeated(controls, earlier)


def ensemble_of(config: SearchConfig, name: str, candidates: Sequence[Candidate], freeze: Freeze) -> Ensemble:
    """The base rewards that not all candidates replace, and the candidates, by the configured aggregation."""
    members = members_with(config, candidates)
    if config.finals.aggregation == "zscore":
        members = freeze(members)
    answers = answers_of(config)
    return Ensemble(
        name=name,
        members=members,
        aggregation=config.finals.aggregation,
        answer_format=answers.answer_format,
        answer_kind=answers.answer_kind,
    )


def is_random_draw(finalist: Finalist) -> bool:
    return finalist.name.startswith(RANDOM)


def mark_repeated(finalists: Sequence[Finalist], earlier: Sequence[Finalist]) -> list[Finalist]:
    """Sets `same_as` on those whose members and steps are those of one before them."""
    first: dict[tuple[frozenset[str], int], str] = {}
    for item in earlier:
        first.setdefault((frozenset(item.candidates), item.steps), item.same_as or item.name)
    marked = []
    for item in finalists:
        original = first.setdefault((frozenset(item.candidates), item.steps), item.name)
        if original != item.name:
            apart = item.listed_apart or f"the same members as {original}"
            item = replace(item, same_as=original, listed_apart=apart)
        marked.append(item)
    return marked


def _members(name: str, ranked: Sequence[Candidate]) -> Sequence[Candidate]:
    """Empty where the scored candidates do not suffice."""
    if name.startswith("top-"):
        size = int(name.removeprefix("top-"))
        return ranked[:size] if len(ranked) >= size else ()
    if name == GREEDY or name.startswith(DECORRELATED):
        return ()
    if name == "correctness-family":
        family = [candidate for candidate in ranked if candidate.family == "correctness"][:FAMILY_SIZE]
        return family if len(family) >= 2 else ()
    best_of_round: dict[int, Candidate] = {}
    for candidate in ranked:
        best_of_round.setdefault(candidate.round, candidate)
    diverse = sorted(best_of_round.values(), key=lambda candidate: candidate.round)
    return diverse if len(diverse) >= 2 else ()


def _finalist(
    config: SearchConfig,
    name: str,
    candidates: Sequence[Candidate],
    freeze: Freeze,
    *,
    steps: int | None = None,
    listed_apart: str | None = None,
    control: str | None = None,
) -> Finalist:
    return Finalist(
        name=name,
        kind="control" if control else "selected",
        candidates=tuple(candidate.name for candidate in candidates),
        ensemble=ensemble_of(config, name, candidates, freeze),
        steps=steps or config.final_steps,
        listed_apart=listed_apart,
        control=control,
    )


def _draws(
    pool: Sequence[Candidate], size: int, count: int, taken: Sequence[frozenset[str]], seed: int
) -> list[list[Candidate]]:
    """Distinct sets, uniformly; members stay in the order of the pool."""
    names = {candidate.name for candidate in pool}
    if not 0 < size <= len(pool):
        return []
    possible = math.comb(len(pool), size) - sum(1 for other in set(taken) if len(other) == size and other <= names)
    generator = random.Random(seed)
    seen = set(taken)
    draws: list[list[Candidate]] = []
    while len(draws) < min(count, possible):
        places = sorted(generator.sample(range(len(pool)), size))
        drawn = frozenset(pool[place].name for place in places)
        if drawn not in seen:
            seen.add(drawn)
            draws.append([pool[place] for place in places])
    return draws
