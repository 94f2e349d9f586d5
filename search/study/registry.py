"""Studies by name."""

from __future__ import annotations

from collections.abc import Sequence

from rewards_generated.errors import UserError
from search.config.source import load_config, require_same
from search.study.base import Size, Study
from search.study.feedback.study import FeedbackStudy
from search.study.ledger import StudyFacts
from search.study.multilayer.study import MultilayerStudy
from search.study.reach.study import ReachStudy
from search.study.reflection.study import ReflectionStudy

STUDIES: dict[str, type[Study]] = {
    kind.name: kind for kind in (FeedbackStudy, MultilayerStudy, ReachStudy, ReflectionStudy)
}
PRESET = "testbed"
"""What every study's configuration starts from."""
FEWEST_SEEDS = 2


def build_study(name: str, size: Size, seeds: int | None, assignments: Sequence[str]) -> Study:
    """`seeds` None: as many as that size has; `assignments` replace fields of its configuration. Raises UserError."""
    kind = STUDIES[name]
    usual, own = kind.presets[size]
    chosen = usual if seeds is None else seeds
    if chosen < FEWEST_SEEDS:
        raise UserError(f"{chosen} is too few seeds: runs are compared over seeds, so give at least {FEWEST_SEEDS}")
    return kind(size, chosen, load_config(PRESET, None, [*own, *assignments]))


def recorded_study(
    name: str, facts: StudyFacts, size: Size | None, seeds: int | None, assignments: Sequence[str]
) -> Study:
    """The study that the facts are of. Raises UserError naming what is given besides and would change it."""
    if facts.study != name:
        raise UserError(f"the folder holds the study {facts.study!r}; resume it with `study {facts.study}`")
    config = load_config(values=facts.config)
    recorded = {"size": facts.size, "seeds": facts.seeds, **config.plain()}
    given = {
        "size": size or facts.size,
        "seeds": facts.seeds if seeds is None else seeds,
        **load_config(values=facts.config, assignments=list(assignments)).plain(),
    }
    require_same(recorded, given, "the study", "a new study in another --run-dir")
    return STUDIES[name](facts.size, facts.seeds, config)
