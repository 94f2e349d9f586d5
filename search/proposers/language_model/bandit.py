"""Which of several models is asked: budgeted Thompson sampling over what earlier rounds brought and cost.

The rule is that of Xia, Li, Qin, Yu and Liu, Thompson Sampling for Budgeted Multi-armed Bandits (IJCAI 2015, arXiv
1505.00146): of every arm i a reward and a cost are drawn from their posteriors under uniform priors,

    r_i ~ Beta(1 + R_i, 1 + n_i - R_i),    c_i ~ Beta(1 + C_i, 1 + n_i - C_i),

where R_i and C_i are the sums of its rewards and costs, each between 0 and 1, over n_i trials; the arm with the largest
r_i / c_i is taken. Rewards and costs between 0 and 1 become successes by a draw in the paper (its section 3.2); here
they are added up as they are, which is what such draws come to on average, so that the posteriors follow from the
record. `cost_weight` w takes r_i / c_i^w instead: 1 is the paper's rule, 0 Thompson sampling without costs.

The posteriors are those at the start of a round; its calls, side by side, differ by their draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from eval.tasks.testbed.draws import Draws
from search.config.names import WITHOUT_RESULTS
from search.proposers.base import Feedback, ProposalRequest, Spending

SMALLEST_COST = 1e-12
"""Keeps a ratio finite."""
UNKNOWN = 0.5
"""Reward of a candidate of which the feedback does not say how it did."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What is known of one model. `reward` and `cost` are sums over `trials`, 0 <= each <= trials."""

    trials: int = 0
    reward: float = 0.0
    cost: float = 0.0


def choose(arms: Mapping[int, Arm], draws: Draws, cost_weight: float = 1.0) -> int:
    """The key of the arm that is taken, by the draws alone. Raises ValueError for no arms."""
    from scipy.special import betaincinv

    def drawn(total: float, trials: int) -> float:
        share = (draws.integer(0, 2**52 - 1) + 0.5) / 2**52
        return float(betaincinv(1 + total, 1 + trials - total, share))

    ratios = {}
    for key, arm in arms.items():
        reward, cost = drawn(arm.reward, arm.trials), drawn(arm.cost, arm.trials)
        ratios[key] = reward / max(cost, SMALLEST_COST) ** cost_weight
    return max(ratios, key=lambda key: ratios[key])


def arms_of(request: ProposalRequest, models: Sequence[str]) -> list[Arm]:
    """One arm per model, from the earlier rounds of the request and what its feedback says of their candidates.

    A trial is a candidate, or a call of a round in which its model brought none. Its reward is the candidate's rank as
    a share (the best near 1), 0 if it was not scored or there is none, and `UNKNOWN` without feedback. Its cost is what
    the model cost per trial, as a share of the dearest model's: in USD, or in tokens where a price is unknown or all
    are free.
    """
    rewards = _rewards(request.feedback)
    trials, earned = dict.fromkeys(models, 0), dict.fromkeys(models, 0.0)
    for earlier in request.earlier:
        for model in trials:
            names = [name for name, origin in earlier.origins.items() if origin == model]
            trials[model] += len(names) or sum(call.model == model for call in earlier.calls)
            earned[model] += sum(UNKNOWN if rewards is None else rewards.get(name, 0.0) for name in names)
    calls = [call for earlier in request.earlier for call in earlier.calls]
    spent = {model: Spending.of(call for call in calls if call.model == model) for model in trials}
    in_usd = not any(item.unpriced_calls for item in spent.values()) and any(item.cost_usd for item in spent.values())
    costs = {model: item.cost_usd if in_usd else float(item.tokens) for model, item in spent.items()}
    per_trial = {model: costs[model] / trials[model] for model in trials if trials[model]}
    dearest = max(per_trial.values(), default=0.0) or 1.0
    return [Arm(trials[model], earned[model], trials[model] * per_trial.get(model, 0.0) / dearest) for model in models]


def _rewards(feedback: Feedback) -> dict[str, float] | None:
    """Of every ranked candidate the share of the others that it leaves behind, equals by halves; None: not told."""
    if feedback.mode in WITHOUT_RESULTS:
        return None
    order = [*feedback.ranked, *feedback.stopped]
    found: dict[str, float] = {}
    # Those that were stopped early have scores of fewer steps, and stand below all others.
    for _, group in groupby(order, key=lambda item: (item.stopped_after, item.f1)):
        equals = list(group)
        place = len(found) + len(equals) / 2
        found |= {item.name: 1 - place / len(order) for item in equals}
    return found
