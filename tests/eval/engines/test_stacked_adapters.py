"""Stacked LoRA adapters: each row's output, gradients, files and initial weights are those of PEFT's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict

from eval.engines.decoding import decode, uniform_draws
from eval.engines.policy import Policy, load_policy
from eval.engines.stacked_adapters import StackedAdapters
from rewards_generated.errors import UserError
from tests.trainer.tiny import write_policy

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


def config(**changes: Any) -> LoraConfig:
    return LoraConfig(**{"task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 6, "target_modules": TARGETS, **changes})


def policy(base: Path) -> Policy:
    torch.set_num_threads(1)
    loaded = load_policy(str(base), "cpu")
    loaded.model.double()
    return loaded


def random_adapters(base: Path, folder: Path, count: int, **changes: Any) -> list[Path]:
    """PEFT adapters with random weights in both matrices, in folders."""
    folders = []
    for number in range(count):
        torch.manual_seed(100 + number)
        model = get_peft_model(policy(base).model, config(**changes))
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(folder / str(number))
        folders.append(folder / str(number))
    return folders


def stack_of(base: Path, folders: list[Path], **changes: Any) -> StackedAdapters:
    stack = StackedAdapters(policy(base).model, config(**changes), len(folders))
    for place, folder in enumerate(folders):
        stack.load(place, folder)
    return stack


def test_merged_adapters_are_the_adapters(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of(base, random_adapters(base, tmp_path, 3))
    with torch.no_grad():
        for rows in ([0, 0, 1, 1, 2, 2], [0, 0, 0, 2, 2, 2], [1, -1, 0, 2, 1, 1], [1] * 6, [-1] * 6):
            stack.assign(rows)
            expected = stack.model(IDS).logits
            with stack.merged():
                stack.assign(rows)
                assert torch.allclose(stack.model(IDS).logits, expected, atol=1e-12)
            assert torch.equal(stack.model(IDS).logits, expected)
        with stack.merged():
            stack.assign([0, 0, 1, 1, 2, 2])
            layer = stack.model.get_submodule("model.layers.0.mlp.down_proj")
            layer.B.zero_()
            merged = stack.model(IDS).logits
        assert not torch.allclose(stack.model(IDS).logits, merged, atol=1e-3), "it was not merged at all"
        monkeypatch.setattr("eval.engines.stacked_adapters.MERGED_BYTES", 1000)
        with stack.merged():
            stack.assign([0, 0, 1, 1, 2, 2])
            expected = stack.model(IDS).logits
            layer.B.fill_(1.0)
            assert not torch.allclose(stack.model(IDS).logits, expected, atol=1e-3), "it was merged all the same"


IDS = torch.randint(5, 30, (6, 9), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "rows",
    [[0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0], [2, 2, 2, 2, 2, 2], [0, 0, 0, 2, 2, 2], [1, -1, 0, 2, 1, 1], [-1] * 6],
    ids=["even", "first alone", "last alone", "one unused", "ragged with the base", "the base"],
)
def test_every_row_goes_through_its_own_adapter(base: Path, tmp_path: Path, rows: list[int]) -> None:
    folders = random_adapters(base, tmp_path, 3)
    stack = stack_of(base, folders)
    stack.assign(rows)
    found = stack.model(IDS).logits
    plain = policy(base).model(IDS).logits
    expected = [
        plain if adapter == -1 else PeftModel.from_pretrained(policy(base).model, folders[adapter])(IDS).logits
        for adapter in range(-1, 3)
    ]
    for row, adapter in enumerate(rows):
        assert torch.allclose(found[row], expected[adapter + 1][row], atol=1e-12)
    assert not torch.allclose(expected[0], expected[1], atol=0.1)


@pytest.mark.parametrize("rows", [[0, 0, 0, 1, 1, 1], [1, 0, 1, -1, 0, 1]], ids=["even", "ragged"])
def test_every_adapter_gets_the_gradient_of_its_own_rows(base: Path, tmp_path: Path, rows: list[int]) -> None:
    folders = random_adapters(base, tmp_path, 2)
    stack = stack_of(base, folders)
    stack.assign(rows)
    (stack.model(IDS).logits ** 2).sum().backward()
    for parameter in stack.parameters():
        assert parameter.grad is not None
        parameter.data = parameter.grad
    for place, folder in enumerate(folders):
        single = PeftModel.from_pretrained(policy(base).model, folder, is_trainable=True)
        own = [row for row, adapter in enumerate(rows) if adapter == place]
        (single(IDS[own]).logits ** 2).sum().backward()
        gradients = {name: p.grad for name, p in single.named_parameters() if p.requires_grad}
        found = stack.state(place)
        assert len(found) == len(gradients) == 28
        for name, gradient in gradients.items():
            assert torch.allclose(found[name.replace(".default", "")], gradient, rtol=1e-10, atol=1e-9)


def test_a_base_in_bfloat16_keeps_its_type_and_agrees_with_peft(base: Path, tmp_path: Path) -> None:
    folders = random_adapters(base, tmp_path, 2)
    model = load_policy(str(base), "cpu", "bfloat16").model
    stack = StackedAdapters(model, config(), 2)
    for place, folder in enumerate(folders):
        stack.load(place, folder)
    assert {parameter.dtype for parameter in stack.parameters()} == {torch.float32}
    stack.assign([0, 0, 0, 1, 1, 1])
    found = model(IDS).logits
    single = PeftModel.from_pretrained(load_policy(str(base), "cpu", "bfloat16").model, folders[1])
    expected = single(IDS).logits
    assert found.dtype == expected.dtype == torch.bfloat16
    assert torch.allclose(found[3:].float(), expected[3:].float(), atol=0.1)


def test_a_saved_adapter_is_peft_s_to_the_bit(base: Path, tmp_path: Path) -> None:
    folders = random_adapters(base, tmp_path, 2)
    stack = stack_of(base, folders)
    stack.save(1, tmp_path / "saved")
    stack.assign([1] * 6)
    through = PeftModel.from_pretrained(policy(base).model, tmp_path / "saved")
    original = PeftModel.from_pretrained(policy(base).model, folders[1])
    assert torch.equal(through(IDS).logits, original(IDS).logits)
    assert torch.allclose(stack.model(IDS).logits, original(IDS).logits, atol=1e-12)
    for read in (through, original):
        assert read.peft_config["default"].target_modules == set(TARGETS)


def test_a_fresh_adapter_is_the_one_that_a_run_of_the_seed_begins_with(base: Path) -> None:
    from transformers import set_seed

    stack = StackedAdapters(policy(base).model, config(), 3)
    for place, seed in enumerate([7, 8, 7]):
        stack.initialise(place, seed)
    set_seed(7)
    expected = get_peft_model_state_dict(get_peft_model(policy(base).model, config()))
    found = [stack.state(place) for place in range(3)]
    assert found[0].keys() == expected.keys()
    assert all(torch.equal(found[0][name], expected[name]) for name in expected)
    assert all(torch.equal(found[0][name], found[2][name]) for name in expected)
    assert any(not torch.equal(found[0][name], found[1][name]) for name in expected)


def test_taken_off_the_model_is_what_it_was(base: Path, tmp_path: Path) -> None:
    loaded = policy(base)
    before = loaded.model(IDS).logits
    names = [name for name, _ in loaded.model.named_parameters()]
    stack = StackedAdapters(loaded.model, config(), 2)
    stack.initialise(0, 1)
    stack.assign([0] * 6)
    stack.remove()
    assert [name for name, _ in loaded.model.named_parameters()] == names
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())
    assert torch.equal(loaded.model(IDS).logits, before)


def test_adapters_that_are_not_finite_are_told_apart(base: Path, tmp_path: Path) -> None:
    stack = stack_of(base, random_adapters(base, tmp_path, 3))
    stack.parameters()[5].data[1, 0, 0] = float("inf")
    assert stack.finite() == [True, False, True]


def test_sampled_completions_are_those_of_each_adapter_by_itself(base: Path, tmp_path: Path) -> None:
    folders = random_adapters(base, tmp_path, 3)
    stack = stack_of(base, folders)
    prompts = [[2, 6, 24, 7, 3], [2, 9, 3], [2, 9, 3], [2, 5, 24, 5, 26, 3], [2, 9, 3]]
    owners = [0, 0, 0, 2, -1]
    draws = uniform_draws(len(prompts), 30, seed=3)
    options: dict[str, Any] = {"stop_tokens": [1, 12], "pad_token": 0, "max_completion_tokens": 30, "temperature": 1.0}
    together = decode(stack.model.eval(), prompts, draws=draws, adapters=stack, adapter_of_prompt=owners, **options)
    assert together == decode(
        stack.model.eval(), prompts, draws=draws, adapters=stack, adapter_of_prompt=owners, fixed=True, **options
    )
    for row, owner in enumerate(owners):
        model = policy(base).model if owner == -1 else PeftModel.from_pretrained(policy(base).model, folders[owner])
        assert decode(model.eval(), [prompts[row]], draws=draws[row : row + 1], **options) == [together[row]]
    assert len({len(completion) for completion in together}) > 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"use_dora": True}, "use_dora = True"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"target_modules": "all-linear"}, "as a list"),
        ({"target_modules": ["embed_tokens"]}, "no linear layer"),
        ({"target_modules": ["absent"]}, "names no layer"),
    ],
)
def test_what_cannot_be_stacked_is_named(base: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        StackedAdapters(policy(base).model, config(**changes), 2)


def test_an_adapter_of_another_shape_is_refused(base: Path, tmp_path: Path) -> None:
    folders = random_adapters(base, tmp_path, 1)
    with pytest.raises(UserError, match="no LoRA weights of rank 8"):
        stack_of(base, folders, r=8)
    with pytest.raises(UserError, match="which is not adapted here"):
        stack_of(base, folders, target_modules=["q_proj"])


def test_an_adapter_by_itself_drops_what_peft_drops(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    model = load_policy(str(write_policy(tmp_path / "policy")), "cpu").model
    config = LoraConfig(
        r=4, lora_alpha=8, lora_dropout=0.3, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False
    )
    torch.manual_seed(1)
    wrapped = get_peft_model(model, config)
    wrapped.save_pretrained(tmp_path / "adapter")
    ids = torch.randint(5, 30, (6, 9))

    def logits(called: torch.nn.Module, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return called(ids).logits

    wrapped.train()
    expected = [logits(wrapped, seed) for seed in (1, 2)]
    wrapped.eval()
    in_evaluation = logits(wrapped, 1)
    wrapped.unload()
    stack = StackedAdapters(model, config, 1)
    stack.load(0, tmp_path / "adapter")
    stack.assign([0] * 6)
    model.train()
    for seed in (1, 2):
        assert torch.allclose(logits(model, seed), expected[seed - 1], atol=1e-6)
    assert not torch.allclose(expected[0], expected[1], atol=1e-3)
    model.eval()
    assert torch.allclose(logits(model, 1), in_evaluation, atol=1e-6)
    stack.remove()
    with pytest.raises(UserError, match=r"lora\.dropout = 0\.3 takes an adapter by itself"):
        StackedAdapters(model, config, 2)
