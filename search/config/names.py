"""Names with a meaning of their own among runs, entries and ensembles."""

from __future__ import annotations

from typing import Literal

FeedbackMode = Literal["ranked", "none", "shuffled", "independent"]
"""Of `search.feedback`."""
WITHOUT_RESULTS: tuple[FeedbackMode, ...] = ("none", "independent")
"""Those under which a proposer is told no result."""
BASE_ONLY = "base-rewards-only"
"""Subject of runs without any candidate."""
UNTRAINED = "untrained-base"
"""Subject of evaluations of the base policy itself."""
GREEDY = "greedy"
"""The ensemble that grows by short runs."""
GREEDY_SELECTED = "greedy_selected"
"""The milestone that holds its members and what was tried for them."""
RACES = "races"
"""The fact that holds, by round and stage of its race, who went on."""
DECORRELATED = "decorrelated-"
"""How the names begin of ensembles that go down the ranking without what is too like a better one."""
RANDOM = "random-"
"""How the names begin of random draws of candidates, which are controls."""

SECRET = "secret"
"""The fact that holds what the marks in prompts are made with: random, and the same to the end of a run."""
