"""The engine: order, truncation, adapters, and a base that is left as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eval.engines.base import Sampling
from eval.engines.policy import Policy, load_policy
from eval.engines.transformers_engine import TransformersEngine, adapted, merged
from rewards_generated.errors import UserError
from tests.trainer.tiny import Sums, write_policy

PROMPTS = [example.prompt for example in Sums({}).examples("test", 9)]
GREEDY = Sampling(max_completion_tokens=10)
SAMPLED = Sampling(max_completion_tokens=10, temperature=1.0, seed=4)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return load_policy(str(write_policy(tmp_path_factory.mktemp("policy"))), "cpu")


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two random LoRA adapters of the policy."""
    import torch
    from peft import LoraConfig, get_peft_model

    folders = []
    for seed in (1, 2):
        base = load_policy(str(write_policy(tmp_path_factory.mktemp("base"))), "cpu").model
        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
        folder = tmp_path_factory.mktemp("adapter")
        get_peft_model(base, config).save_pretrained(folder)
        folders.append(str(folder))
    return folders


def weights(policy: Policy) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in policy.model.state_dict().items()}


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_completions_do_not_depend_on_the_batch_size(policy: Policy, sampling: Sampling) -> None:
    whole = TransformersEngine(policy, batch_size=64).generate(PROMPTS, sampling)
    assert TransformersEngine(policy, batch_size=2).generate(PROMPTS, sampling) == whole
    assert len({generated.completion for generated in whole}) > 1


def test_tokens_and_truncation_are_reported(policy: Policy) -> None:
    generated = TransformersEngine(policy).generate(PROMPTS * 20, SAMPLED)
    assert any(item.truncated for item in generated)
    assert any(not item.truncated for item in generated)
    assert all(item.tokens == 10 for item in generated if item.truncated)


def test_a_merged_adapter_gives_the_logits_of_the_unmerged_one(policy: Policy, adapters: list[str]) -> None:
    import torch
    from peft import PeftModel

    ids = torch.tensor(policy.prompt_tokens(PROMPTS[:1]))
    base = policy.model(ids).logits
    wrapped = PeftModel.from_pretrained(policy.model, adapters[0])
    unmerged = wrapped(ids).logits
    with merged(wrapped):
        inside = wrapped(ids).logits
    wrapped.unload()
    assert torch.allclose(inside, unmerged, atol=1e-4)
    assert not torch.allclose(unmerged, base, atol=1e-2)


def test_the_base_is_what_it_was_to_the_bit(policy: Policy, adapters: list[str]) -> None:
    before = weights(policy)
    with adapted(policy.model, adapters[0]):
        assert weights_differ(before, policy)
    assert weights(policy) == before


def weights_differ(before: dict[str, bytes], policy: Policy) -> bool:
    now = {name.replace(".base_layer", ""): value for name, value in weights(policy).items()}
    return any(now[name] != value for name, value in before.items())


def test_rows_with_different_adapters_equal_calls_with_one(policy: Policy, adapters: list[str]) -> None:
    engine = TransformersEngine(policy)
    wanted = [None, adapters[0], adapters[1]] * 3
    mixed = engine.generate(PROMPTS, SAMPLED, wanted)
    single = {adapter: engine.generate(PROMPTS, SAMPLED, adapter) for adapter in (None, *adapters)}
    assert mixed == [single[adapter][row] for row, adapter in enumerate(wanted)]
    assert single[None] != single[adapters[0]] != single[adapters[1]]


def test_a_whole_model_can_stand_in_for_an_adapter(policy: Policy, tmp_path: Path) -> None:
    other = write_policy(tmp_path / "other", seed=9)
    through = TransformersEngine(policy).generate(PROMPTS, GREEDY, str(other))
    direct = TransformersEngine(load_policy(str(other), "cpu")).generate(PROMPTS, GREEDY)
    assert through == direct != TransformersEngine(policy).generate(PROMPTS, GREEDY)


def test_an_adapter_that_is_not_finite_is_named(policy: Policy, adapters: list[str], tmp_path: Path) -> None:
    from shutil import copytree

    from safetensors.torch import load_file, save_file

    broken = copytree(adapters[0], tmp_path / "broken")
    tensors = load_file(broken / "adapter_model.safetensors")
    save_file({name: tensor * float("nan") for name, tensor in tensors.items()}, broken / "adapter_model.safetensors")
    before = weights(policy)
    mixed = [adapters[0], *[str(broken)] * (len(PROMPTS) - 1)]
    for wanted in (str(broken), mixed):
        with pytest.raises(FloatingPointError, match="not finite"):
            TransformersEngine(policy).generate(PROMPTS, GREEDY, wanted)
        assert weights(policy) == before


@pytest.mark.parametrize("stacked_rows", [1, 6, 512])
def test_adapters_decoded_together_give_what_each_gives_alone(
    policy: Policy, adapters: list[str], stacked_rows: int
) -> None:
    engine = TransformersEngine(policy, batch_size=3, stacked_rows=stacked_rows)
    sampling = replace(SAMPLED, draws_period=len(PROMPTS))
    wanted = [adapter for adapter in (adapters[1], None, adapters[0]) for _ in PROMPTS]
    before = weights(policy)
    together = engine.generate(PROMPTS * 3, sampling, wanted)
    assert weights(policy) == before
    alone = [engine.generate(PROMPTS, SAMPLED, adapter) for adapter in (adapters[1], None, adapters[0])]
    assert together == [generated for answers in alone for generated in answers]


def test_adapters_of_different_shapes_can_be_asked_in_one_call(
    policy: Policy, adapters: list[str], tmp_path: Path
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    wrapped = get_peft_model(policy.model, LoraConfig(r=2, target_modules=["v_proj"], init_lora_weights=False))
    wrapped.save_pretrained(tmp_path / "other")
    wrapped.unload()
    other = str(tmp_path / "other")
    wanted = [adapters[0], adapters[1], other] * (len(PROMPTS) // 3)
    engine = TransformersEngine(policy)
    alone = {adapter: engine.generate(PROMPTS, SAMPLED, adapter) for adapter in wanted}
    assert engine.generate(PROMPTS, SAMPLED, wanted) == [alone[name][row] for row, name in enumerate(wanted)]


def test_wrong_arguments_are_refused(policy: Policy, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 adapters were given for 9 prompts"):
        TransformersEngine(policy).generate(PROMPTS, GREEDY, [None, None])
    with pytest.raises(UserError, match=r"adapter_config\.json"):
        TransformersEngine(policy).generate(PROMPTS, GREEDY, str(tmp_path))
    with pytest.raises(UserError, match="batch_size = 0"):
        TransformersEngine(policy, batch_size=0)


def test_a_policy_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        load_policy(str(tmp_path / "nowhere"), "cpu")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be loaded as a language model"):
        load_policy(str(tmp_path), "cpu")
