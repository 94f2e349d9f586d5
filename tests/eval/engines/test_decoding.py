"""Decoding against transformers' own generation, and the independence of rows from their batch."""

from __future__ import annotations

from collections import Counter

import pytest

from eval.engines.decoding import decode, uniform_draws
from eval.engines.policy import Policy, load_policy
from tests.trainer.tiny import Sums, write_policy


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return load_policy(str(write_policy(tmp_path_factory.mktemp("policy"))), "cpu")


@pytest.fixture(scope="module")
def prompts(policy: Policy) -> list[list[int]]:
    """Of different lengths, two of them equal."""
    examples = [example.prompt for example in Sums({}).examples("train", 6)]
    tokens = policy.prompt_tokens(examples)
    return [tokens[0], tokens[1][1:], tokens[2], tokens[0], tokens[3][2:], tokens[4]]


def run(policy: Policy, prompts: list[list[int]], **options: object) -> list[list[int]]:
    settings = {"stop_tokens": policy.stop_tokens, "pad_token": 0, "max_completion_tokens": 16, **options}
    return decode(policy.model, prompts, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("fixed", [False, True])
def test_greedy_decoding_equals_transformers_generate(policy: Policy, prompts: list[list[int]], fixed: bool) -> None:
    import torch

    def reference(prompt: list[int], stop: list[int]) -> list[int]:
        ids = torch.tensor([prompt])
        output = policy.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=16,
            do_sample=False,
            eos_token_id=stop,
            pad_token_id=0,
        )
        return list(output[0, len(prompt) :].tolist())

    # With common words as stop tokens rows end at different places.
    for stop in (policy.stop_tokens, [1, 8, 12, 20, 30]):
        assert run(policy, prompts, stop_tokens=stop, fixed=fixed) == [reference(prompt, stop) for prompt in prompts]


@pytest.mark.parametrize("fixed", [False, True])
def test_a_row_does_not_depend_on_its_batch(policy: Policy, prompts: list[list[int]], fixed: bool) -> None:
    draws = uniform_draws(len(prompts), 16, seed=3)
    stop = [1, 8, 12, 20, 30]
    together = run(policy, prompts, temperature=1.0, draws=draws, stop_tokens=stop, fixed=fixed)
    alone = [
        run(policy, [prompt], temperature=1.0, draws=draws[row : row + 1], stop_tokens=stop)[0]
        for row, prompt in enumerate(prompts)
    ]
    assert together == alone
    assert len({len(completion) for completion in together}) > 1
    assert together[0] != together[3], "equal prompts must draw differently"


def test_samples_follow_the_softmax_of_the_logits(policy: Policy, prompts: list[list[int]]) -> None:
    import torch
    from scipy.stats import chisquare

    count, temperature = 4000, 0.7
    tokens = run(
        policy,
        [prompts[0]] * count,
        temperature=temperature,
        draws=uniform_draws(count, 1, seed=0),
        max_completion_tokens=1,
    )
    logits = policy.model(torch.tensor([prompts[0]])).logits[0, -1].detach().double()
    expected = torch.softmax(logits / temperature, -1) * count
    seen = Counter(row[0] for row in tokens)
    observed = torch.tensor([float(seen[token]) for token in range(len(expected))])
    rare = expected < 5
    observed = torch.cat([observed[~rare], observed[rare].sum()[None]])
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    assert chisquare(observed, expected).pvalue > 1e-3


def test_nucleus_sampling_leaves_out_the_tail(policy: Policy, prompts: list[list[int]]) -> None:
    import torch

    probabilities = torch.softmax(policy.model(torch.tensor([prompts[0]])).logits[0, -1].detach().double(), -1)
    ranked = probabilities.argsort(descending=True).tolist()
    mass, nucleus = 0.0, set()
    for token in ranked:
        if mass >= 0.5:
            break
        nucleus.add(token)
        mass += float(probabilities[token])
    tokens = run(
        policy,
        [prompts[0]] * 500,
        temperature=1.0,
        top_p=0.5,
        draws=uniform_draws(500, 1, seed=0),
        max_completion_tokens=1,
    )
    assert {row[0] for row in tokens} == nucleus


def test_draws_of_a_row_do_not_depend_on_the_number_of_rows() -> None:
    assert uniform_draws(3, 5, seed=2).equal(uniform_draws(7, 5, seed=2)[:3])
    assert not uniform_draws(3, 5, seed=2).equal(uniform_draws(3, 5, seed=3))


def test_sampling_without_draws_and_empty_prompts_are_refused(policy: Policy) -> None:
    with pytest.raises(ValueError, match="draws"):
        run(policy, [[1]], temperature=1.0)
    with pytest.raises(ValueError, match="at least one token"):
        run(policy, [[]])
    assert run(policy, []) == []
