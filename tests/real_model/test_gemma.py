"""The path of base models on real pretrained weights: Gemma 3 270M, which has no chat template, windows in most layers
and 262,144 tokens (`make test-real-model` fetches it)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.engines.base import Sampling
from eval.engines.decoding import decode
from eval.engines.policy import Policy, load_policy
from eval.engines.prompting import Prompting
from eval.engines.stacked_adapters import stacked
from eval.engines.transformers_engine import TransformersEngine
from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from rewards_generated.errors import UserError
from tests.trainer.tiny import ran, training_run
from trainer.jobs.train import TrainJob

FOLDER = Path(__file__).parents[2] / "build" / "gemma-3-270m"
TASK = TaskReference(name="word-problems", options={"steps": [1]})
pytestmark = [
    pytest.mark.real_model,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="Gemma 3 270M is not there; `make test-real-model` fetches it"),
]


@pytest.fixture(scope="module")
def plain() -> Policy:
    return load_policy(str(FOLDER), "cpu", format=Prompting(template="plain").format(TASK))


def answers(policy: Policy, count: int) -> tuple[int, int, int]:
    """How many of the questions got a readable answer, a right one, and an end before the limit."""
    task = build_task(TASK)
    questions = task.examples("test", count)
    given = TransformersEngine(policy).generate([question.prompt for question in questions], Sampling(64))
    read = [task.extract(answer.completion).strict for answer in given]
    right = [task.equal(found, question.answer) for found, question in zip(read, questions, strict=True) if found]
    return sum(found is not None for found in read), sum(right), sum(not answer.truncated for answer in given)


def test_without_a_template_it_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="has no chat template; set prompting"):
        load_policy(str(FOLDER), "cpu")


def test_examples_teach_the_form_of_an_answer(plain: Policy) -> None:
    few_shot = Policy(plain.model, load_policy(str(FOLDER), "cpu", format=_few_shot()).tokenizer, "", _few_shot())
    readable, _, ended = answers(few_shot, 8)
    assert readable >= 6
    assert ended >= 6
    assert answers(plain, 8)[0] < readable


def _few_shot() -> Any:
    return Prompting(template="few-shot", shots=3).format(TASK)


def test_it_says_what_generate_says(plain: Policy) -> None:
    import torch

    questions = build_task(TASK).examples("test", 2)
    prompts = plain.prompt_tokens([question.prompt for question in questions])
    limits: dict[str, Any] = {"stop_tokens": plain.stop_tokens, "pad_token": plain.tokenizer.pad_token_id}
    ours = decode(plain.model, prompts, max_completion_tokens=16, **limits)
    for prompt, found in zip(prompts, ours, strict=True):
        with torch.no_grad():
            whole = plain.model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=16)
        assert whole[0, len(prompt) :].tolist()[: len(found)] == found


def test_stacked_adapters_say_what_peft_says(plain: Policy, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    tokens = torch.tensor(plain.prompt_tokens([build_task(TASK).examples("test", 1)[0].prompt]))
    folders, alone = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        config = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=16, target_modules=["q_proj", "o_proj", "up_proj"])
        adapted = get_peft_model(plain.model, config)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.02)
        folders.append(str(tmp_path / str(seed)))
        adapted.save_pretrained(folders[-1])
        adapted.unload()
    with torch.no_grad():
        before = plain.model(tokens).logits
        with stacked(plain.model, folders) as stack:
            stack.assign([0, 1])
            together = torch.log_softmax(plain.model(tokens.repeat(2, 1)).logits, dim=-1)
        for folder in folders:
            adapted = PeftModel.from_pretrained(plain.model, folder)
            alone.append(torch.log_softmax(adapted(tokens).logits, dim=-1))
            adapted.unload()
    assert (together - torch.cat(alone)).abs().max() < 1e-3
    assert (together[0] - torch.log_softmax(before, dim=-1)[0]).abs().max() > 0.1


def test_a_pack_trains_on_it(tmp_path: Path) -> None:
    grpo = {"steps": 1, "prompts_per_step": 1, "generations": 4, "max_completion_tokens": 32}
    runs = [
        training_run(FOLDER, label=str(seed), seed=seed, grpo=grpo, task=TASK, prompt_format=_few_shot())
        for seed in (1, 2)
    ]
    result = ran(TrainJob.of(*runs, label="pack"), tmp_path / "job")
    assert [member.failure for member in result.members] == [None, None]
    assert all(member.curves[0]["completion_tokens"] > 0 for member in result.members)
