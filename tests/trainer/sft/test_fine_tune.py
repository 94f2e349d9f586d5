"""Supervised fine-tuning: it learns, adapters load in plain PEFT, a resumed run is bitwise the uninterrupted one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from eval.tasks.testbed.problem import ProblemOptions
from rewards_generated.errors import UserError
from trainer.jobs.settings import Hardware, LoraSettings
from trainer.sft.fine_tune import FreshModel, SftSettings, _ordered, fine_tune
from trainer.testbed.corpus import Pair, corpus, traces, vocabulary_texts
from trainer.testbed.recipe import build_tokenizer

HARDWARE = Hardware(device="cpu")
SETTINGS = SftSettings(steps=6, batch_size=8, learning_rate=5e-3, max_length=128, checkpoint_steps=3)


def clean_traces(count: int) -> list[Pair]:
    return list(traces(ProblemOptions(), count, reflecting=0.0, seed=0))


def fresh(seed: int = 0) -> FreshModel:
    from transformers import LlamaConfig, set_seed

    set_seed(seed)
    tokenizer = build_tokenizer(vocabulary_texts())
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    return FreshModel(config, tokenizer)


def weights(folder: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(next(folder.glob("*.safetensors")))


def equal(left: Path, right: Path) -> bool:
    import torch

    one, other = weights(left), weights(right)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A policy's folder that fine-tuning can start from."""
    output = tmp_path_factory.mktemp("base") / "policy"
    settings = SETTINGS.model_copy(
        update={"steps": 40, "checkpoint_steps": None, "mixed_precision": True, "group_by_prompt_length": True}
    )
    result = fine_tune(fresh(), corpus(320), settings, output, HARDWARE)
    assert result.losses[-1][1] < 0.8 * result.losses[0][1]
    return output


@pytest.fixture(autouse=True)
def _stop_after_three_steps(request, monkeypatch):
    """For `interrupted`: the process is as good as killed once the checkpoint of step 3 is written."""
    if "interrupted" not in request.fixturenames:
        return
    import transformers

    class Killed(Exception):
        pass

    whole = transformers.Trainer._maybe_log_save_evaluate

    def until_checkpoint(self, *args, **kwargs):
        whole(self, *args, **kwargs)
        if self.state.global_step == 3:
            raise Killed

    request.node.killed = Killed
    request.node.kill = lambda: monkeypatch.setattr(transformers.Trainer, "_maybe_log_save_evaluate", until_checkpoint)
    request.node.revive = monkeypatch.undo


@pytest.fixture
def interrupted(request):
    return request.node


@pytest.mark.parametrize("tuning", [pytest.param("full", marks=pytest.mark.slow), "lora"])
def test_a_resumed_run_is_bitwise_the_uninterrupted_one(base, tmp_path, interrupted, tuning):
    settings = SETTINGS.model_copy(update={"tuning": tuning, "lora": LoraSettings(rank=4, alpha=8, dropout=0.1)})
    pairs = clean_traces(48)
    fine_tune(str(base), pairs, settings, tmp_path / "whole", HARDWARE)
    interrupted.kill()
    with pytest.raises(interrupted.killed):
        fine_tune(str(base), pairs, settings, tmp_path / "halved", HARDWARE)
    interrupted.revive()
    assert not list((tmp_path / "halved").glob("*.safetensors"))
    fine_tune(str(base), pairs, settings, tmp_path / "halved", HARDWARE, resume=True)
    assert equal(tmp_path / "whole", tmp_path / "halved")


def test_full_tuning_leaves_a_policy_with_its_tokenizer(base):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    assert model.get_input_embeddings().num_embeddings == len(tokenizer)
    assert tokenizer.chat_template


def test_an_adapter_loads_in_plain_peft_and_changes_the_policy(base, tmp_path):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    settings = SETTINGS.model_copy(update={"tuning": "lora", "lora": LoraSettings(rank=4, alpha=8)})
    result = fine_tune(str(base), clean_traces(48), settings, tmp_path / "adapter", HARDWARE)
    tokens = torch.tensor([[3, 262, 263, 1, 4]])
    model = AutoModelForCausalLM.from_pretrained(base)
    before = model(tokens).logits
    after = PeftModel.from_pretrained(model, result.path)(tokens).logits
    assert not torch.allclose(before, after)


def test_only_completions_are_learned(tmp_path):
    """Pairs with the same completion and different prompts: the loss of the completions goes to nothing."""
    pairs = [
        {
            "prompt": [{"role": "user", "content": f"Compute {n} + 1."}],
            "completion": [{"role": "assistant", "content": "8"}],
        }
        for n in range(10, 90)
    ]
    settings = SETTINGS.model_copy(update={"steps": 60, "checkpoint_steps": None, "learning_rate": 1e-2})
    losses = fine_tune(fresh(), pairs, settings, tmp_path / "policy", HARDWARE).losses
    assert losses[-1][1] < 0.05


def test_an_output_that_exists_is_refused(base):
    with pytest.raises(UserError, match="exists already"):
        fine_tune(str(base), clean_traces(8), SETTINGS, base, HARDWARE)


def test_a_resume_under_other_settings_is_refused(base, tmp_path):
    copy = shutil.copytree(base, tmp_path / "copy")
    with pytest.raises(UserError, match="other settings"):
        fine_tune(str(base), clean_traces(8), SETTINGS, copy, HARDWARE, resume=True)


@pytest.mark.parametrize(("pairs", "said"), [([], "at least one"), ([{"text": "x"}], "'prompt' and 'completion'")])
def test_bad_pairs_are_refused(base, tmp_path, pairs, said):
    with pytest.raises(UserError, match=said):
        fine_tune(str(base), pairs, SETTINGS, tmp_path / "new", HARDWARE)


def test_a_missing_base_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        fine_tune("/no/such/folder", clean_traces(8), SETTINGS, tmp_path / "new", HARDWARE)


def test_batches_hold_prompts_of_like_length_in_random_order():
    rows = [{"input_ids": [n] * 4, "labels": [-100] * (n % 17) + [n]} for n in range(160)]
    settings = SETTINGS.model_copy(update={"steps": 30, "group_by_prompt_length": True})
    order = _ordered(rows, settings)
    assert order == _ordered(rows, settings)
    assert len(order) == 240
    assert sorted(row["labels"][-1] for row in order[:160]) == list(range(160))
    lengths = [[len(row["labels"]) for row in order[start : start + 8]] for start in range(0, 160, 8)]
    assert max(max(batch) - min(batch) for batch in lengths) <= 2
    means = [sum(batch) for batch in lengths]
    assert means not in (sorted(means), sorted(means, reverse=True))
