"""A hard budget: a request is sent only if its worst case fits, beside the worst cases of those under way."""

from __future__ import annotations

from search.proposers.base import BudgetExhausted, Spending


class Budget:
    """Limits of a whole search; None is no limit. `spent` grows as calls are recorded."""

    def __init__(self, spent: Spending, usd: float | None, tokens: int | None, calls: int | None) -> None:
        self.spent = spent
        self.usd = usd
        self.tokens = tokens
        self.calls = calls

    def check(self, worst_case: Spending) -> None:
        """Raises BudgetExhausted, naming the limit, if a call that ends at its worst case would pass it."""
        after = self.spent + worst_case
        if self.calls is not None and after.calls > self.calls:
            raise BudgetExhausted(f"budget_calls = {self.calls} is used up")
        if self.tokens is not None and after.tokens > self.tokens:
            raise BudgetExhausted(
                f"budget_tokens = {self.tokens:,}: {self.spent.tokens:,} are spent and the next call could take "
                f"{worst_case.tokens:,}"
            )
        if self.usd is not None and after.cost_usd > self.usd:
            raise BudgetExhausted(
                f"budget_usd = {self.usd:g}: {self.spent.cost_usd:.4f} are spent and the next call could cost "
                f"{worst_case.cost_usd:.4f}"
            )

    def add(self, spending: Spending) -> None:
        """A request that is sent, at its worst case."""
        self.spent += spending

    def settle(self, worst_case: Spending, spending: Spending) -> None:
        """What a request came to whose worst case was added."""
        self.spent += spending - worst_case
