"""What every generation engine has to do, as one function: `check_engine(MyEngine, policy)` in a test of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from eval.engines.base import Adapter, GenerationEngine, LiveAdapters, Sampling

if TYPE_CHECKING:
    from eval.engines.policy import Policy

TOKENS = 8
GREEDY = Sampling(TOKENS)
SAMPLED = Sampling(TOKENS, temperature=1.0)
CLOSE = 0.1
"""Log-probabilities of the same token agree so far, in half precision too."""


def check_engine(
    build: Callable[..., GenerationEngine],
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    adapter: str | None = None,
    live: LiveAdapters | None = None,
) -> None:
    """`build`: the class, called with the policy and `batch_size`. `prompts`: at least three different ones, as token
    ids. `adapter`: a folder of an adapter of the policy; None: adapters are not checked. `live`: adapters in training
    on the policy's model, two at least, that differ; None: rollouts in training are not checked.

    Raises AssertionError with one sentence for the first thing that is wrong.
    """
    assert len({tuple(prompt) for prompt in prompts}) >= 3, "the check needs three different prompts"
    engine = build(policy, batch_size=2)
    draws = [(7, row) for row in range(len(prompts))]

    def complete(
        sampling: Sampling,
        adapters: Adapter = None,
        rows: Sequence[int] | None = None,
        own: Sequence[tuple[int, int]] = draws,
        by: GenerationEngine = engine,
    ) -> list[list[int]]:
        chosen = range(len(prompts)) if rows is None else rows
        return by.complete(
            [prompts[row] for row in chosen], sampling, [adapters] * len(chosen), [own[row] for row in chosen]
        )

    assert engine.complete([], GREEDY, [], []) == [], "no prompts give no completions"
    greedy, sampled = complete(GREEDY), complete(SAMPLED)
    for found in (greedy, sampled):
        assert len(found) == len(prompts), "every prompt has one completion"
        assert all(0 < len(ids) <= TOKENS for ids in found), "a completion has a token at least, and no more than asked"
        ends = set(policy.stop_tokens)
        assert all(not ends & set(ids[:-1]) for ids in found), "nothing follows an end token"
        early = zip(found, policy.ended(found), strict=True)
        assert all(len(ids) == TOKENS or over for ids, over in early), "only an end ends a completion early"
    assert complete(GREEDY) == greedy, "greedy decoding is repeatable"
    assert complete(SAMPLED) == sampled, "equal draws give equal completions"
    backwards = list(reversed(range(len(prompts))))
    assert complete(SAMPLED, rows=backwards) == sampled[::-1], "completions are in the order of the prompts"
    assert complete(SAMPLED, by=build(policy, batch_size=64)) == sampled, "what a row draws depends on no other row"
    assert complete(SAMPLED, own=[(8, row) for row in range(len(prompts))]) != sampled, "the seed decides the draws"
    same = engine.complete([prompts[0]] * 2, SAMPLED, [None] * 2, [(7, 3), (7, 3)])
    assert same[0] == same[1], "rows with equal prompts and draws have equal completions"
    completions, drawn_with = engine.rollouts(prompts, SAMPLED, [None] * len(prompts), draws)
    assert completions == sampled, "rollouts are what `complete` gives"
    if drawn_with is not None:
        sizes = [len(row) for row in drawn_with]
        assert sizes == [len(ids) for ids in sampled], "every token of a rollout has a log-probability"
        read = engine.log_probabilities(prompts, [ids[0] for ids in sampled], [None] * len(prompts))
        assert read is not None, "an engine that gives log-probabilities reads them of fixed text too"
        first = zip(read, drawn_with, strict=True)
        assert all(abs(value - row[0]) < CLOSE for value, row in first), "fixed text is read as rollouts are"
    if adapter is not None:
        adapted = complete(GREEDY, adapter)
        assert adapted != greedy, "an adapter changes what is said"
        mixed = engine.complete([*prompts, *prompts], GREEDY, [None, adapter] * len(prompts), [*draws, *draws])
        every = [*zip(greedy, adapted, strict=True)] * 2
        assert mixed == [pair[row % 2] for row, pair in enumerate(every)], "every row is its own adapter's"
        assert complete(GREEDY) == greedy, "an adapter leaves the base policy as it was"
    if live is not None:
        engine.refresh(live)
        places = [engine.complete(prompts, GREEDY, [place] * len(prompts), draws) for place in range(live.count)]
        assert len({str(found) for found in places}) == live.count, "a number names one of the adapters in training"
        together = engine.complete([prompts[0]] * live.count, GREEDY, list(range(live.count)), [(7, 0)] * live.count)
        assert together == [found[0] for found in places], "adapters in training can be asked together"
        engine.refresh(None)
