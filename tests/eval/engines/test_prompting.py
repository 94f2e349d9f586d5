"""Chats of base models: plain and few-shot templates, files, BOS tokens, and strings at which a completion ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from eval.engines.base import Sampling
from eval.engines.conformance import check_engine
from eval.engines.policy import Policy, load_policy
from eval.engines.prompting import PLAIN, PromptFormat, Prompting, few_shot
from eval.engines.transformers_engine import TransformersEngine
from eval.tasks.base import Message
from rewards_generated.ensemble import Member
from rewards_generated.errors import UserError
from tests.trainer.tiny import TASK, trained, training_run, write_llama

TEXT = ["Question: 3 + 4 = ?", "Answer: <thinking> 3 + 4 = 7 </thinking> <solution> 7 </solution>", "Add two digits."]
CHAT: list[Message] = [
    {"role": "system", "content": "Add."},
    {"role": "user", "content": "3 + 4 = ?"},
    {"role": "assistant", "content": "7"},
    {"role": "user", "content": "Sure?"},
]


def byte_level(bos: bool = False) -> PreTrainedTokenizerFast:
    """As of GPT-2 and Llama 3: bytes, merged; with `bos` texts begin with a token of their own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|begin|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|begin|> $A", special_tokens=[("<|begin|>", tokenizer.token_to_id("<|begin|>"))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", **({"bos_token": "<|begin|>"} if bos else {})
    )


def base_policy(folder: Path, bos: bool = False) -> Path:
    """A random base model: no chat template, no pad token."""
    return write_llama(folder, byte_level(bos), max_position_embeddings=512)


def text(policy: Policy, chat: list[Message]) -> str:
    [ids] = policy.prompt_tokens([chat])
    decoded: str = policy.tokenizer.decode(ids)
    return decoded


def test_a_base_model_without_a_template_is_told_the_option(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"set prompting\.template to plain, few-shot or a Jinja file"):
        load_policy(str(base_policy(tmp_path)))


@pytest.mark.parametrize("bos", [False, True])
def test_the_plain_template(tmp_path: Path, bos: bool) -> None:
    policy = load_policy(str(base_policy(tmp_path, bos)), format=PromptFormat(chat_template=PLAIN))
    begin = "<|begin|>" if bos else ""
    expected = "Add.\n\nQuestion: 3 + 4 = ?\n\nAnswer: 7<|end|>\n\nQuestion: Sure?\n\nAnswer:"
    assert text(policy, CHAT) == begin + expected
    assert text(policy, CHAT[1:2]) == begin + "Question: 3 + 4 = ?\n\nAnswer:"
    assert policy.tokenizer.pad_token_id is not None
    if bos:
        own = load_policy(str(tmp_path), format=PromptFormat(chat_template="{{ bos_token }}x"))
        assert text(own, CHAT) == "<|begin|>x"  # a template that speaks of it is left alone


def test_examples_stand_before_the_first_message_whatever_is_in_them(tmp_path: Path) -> None:
    odd = '{{ 7*7 }} {% raw %} it\'s "so" \\n é 😀'
    template = few_shot([(odd, "49"), ("b", "c")])
    policy = load_policy(str(base_policy(tmp_path)), format=PromptFormat(chat_template=template))
    shown = f"Question: {odd}\n\nAnswer: 49\n\nQuestion: b\n\nAnswer: c\n\n"
    assert text(policy, CHAT[:2]) == f"Add.\n\n{shown}Question: 3 + 4 = ?\n\nAnswer:"
    assert text(policy, CHAT[1:2]) == f"{shown}Question: 3 + 4 = ?\n\nAnswer:"


def test_examples_are_of_the_train_split_in_the_format_of_the_task() -> None:
    template = Prompting(template="few-shot", shots=2).format(TASK).chat_template
    assert template is not None
    assert template.count("Question: ") == 2 + 1  # the last is that of the messages
    assert "Question: 0 + 1 = ?" in template.encode().decode("unicode_escape")
    assert "<solution> 1 </solution>" in template
    assert "Question: 5" not in template  # where the validation split begins


def test_what_ends_a_completion_besides_the_end_token() -> None:
    assert Prompting().format(TASK) == PromptFormat()
    assert Prompting(template="plain").format(TASK).stop_strings == ("\nQuestion:",)
    assert Prompting(template="plain", stop=()).format(TASK).stop_strings == ()
    assert Prompting(stop=("###",)).format(TASK) == PromptFormat(stop_strings=("###",))
    with pytest.raises(UserError, match=r"`prompting\.stop` holds an empty string"):
        Prompting(stop=("",)).format(TASK)


def test_a_template_of_one_s_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text("{{ messages[-1]['content'] }} =>")
    chosen = Prompting(template=str(file)).format(TASK)
    policy = load_policy(str(base_policy(tmp_path / "base")), format=chosen)
    assert text(policy, CHAT) == "Sure? =>"
    file.write_text("{% for")
    with pytest.raises(UserError, match="is no Jinja template"):
        Prompting(template=str(file), shots=5).format(TASK)
    with pytest.raises(UserError, match="choose chat, plain, few-shot, or a file"):
        Prompting(template="plane").format(TASK)


def test_a_completion_ends_with_the_first_stop_string_and_is_none_of_its_text(tmp_path: Path) -> None:
    folder = str(base_policy(tmp_path))
    chats: list[list[Message]] = [[{"role": "user", "content": f"{a} + 2 = ?"}] for a in range(6)]
    free = TransformersEngine(load_policy(folder, "cpu", format=PromptFormat(chat_template=PLAIN)))
    whole = free.generate(chats, Sampling(40, 1.0, seed=3))
    stop = next(letter for item in whole for letter in item.completion[3:] if letter.isascii() and letter.isalnum())
    format = PromptFormat(chat_template=PLAIN, stop_strings=(stop,))
    found = TransformersEngine(load_policy(folder, "cpu", format=format)).generate(chats, Sampling(40, 1.0, seed=3))
    assert any(stop in item.completion for item in whole)
    for before, after in zip(whole, found, strict=True):
        assert after.completion == before.completion.partition(stop)[0]
        if stop in before.completion:
            assert after.tokens <= before.tokens
            assert not after.truncated
        else:
            assert after == before


def test_the_engine_keeps_its_contract_with_stop_strings(tmp_path: Path) -> None:
    format = PromptFormat(chat_template=PLAIN, stop_strings=("a", "1"))
    policy = load_policy(str(base_policy(tmp_path)), "cpu", format=format)
    prompts = policy.prompt_tokens([[{"role": "user", "content": question}] for question in ("a", "bb", "3 + 4")])
    check_engine(TransformersEngine, policy, prompts)


def test_a_run_on_a_base_model_scores_what_stands_before_the_stop(tmp_path: Path) -> None:
    """The reward pays for the stop string itself: it never sees it."""
    base = base_policy(tmp_path / "base")
    code = 'def reward(prompt, completion, answer):\n    return 1.0 if "e" in completion else 0.0\n'
    changes: dict[str, Any] = {"grpo": {"max_completion_tokens": 24}}
    format = PromptFormat(chat_template=PLAIN, stop_strings=("e",))
    paid = (Member(name="letter", code=code), Member(name="format_approximate"))
    stopped = trained(training_run(base, *paid, prompt_format=format, **changes), tmp_path / "stopped")
    free = trained(
        training_run(base, *paid, prompt_format=PromptFormat(chat_template=PLAIN), **changes), tmp_path / "free"
    )
    assert [item.firing_rate for item in stopped.rewards if item.name == "letter"] == [0.0]
    assert next(item.firing_rate for item in free.rewards if item.name == "letter")
    assert stopped.curves[0]["completion_tokens"] < free.curves[0]["completion_tokens"]
    assert stopped.curves[0]["truncated"] < free.curves[0]["truncated"]
