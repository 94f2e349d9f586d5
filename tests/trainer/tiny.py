"""A task and a random policy small enough for tests: sums of two digits, words as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.answers import ANSWER_FORMATS, Extraction
from eval.tasks.base import Example, Split, Task, TaskReference
from rewards_generated.ensemble import Ensemble, Member
from trainer.jobs.base import Job
from trainer.jobs.folder import write_model
from trainer.jobs.process import run
from trainer.jobs.settings import GrpoSettings, LoraSettings
from trainer.jobs.train import RunResult, TrainingRun, TrainJob, TrainResult

WORDS = [*(str(number) for number in range(19)), "+", "=", "?", "so", "wait", "check", "<thinking>", "</thinking>"]
WORDS += ["<solution>", "</solution>"]
TASK = TaskReference(name="tests.trainer.tiny:build", options={"train": 12})

COUNTS_SO = '''
def reward(prompt: str, completion: str, answer: str) -> float:
    """One point per `so`."""
    return float(completion.split().count("so"))
'''


class Sums:
    answer_format = ANSWER_FORMATS["solution"]
    """a + b for digits a and b; the answer stands in solution tags."""

    description = "Add two digits. The answer stands in <solution> tags."

    def __init__(self, options: dict[str, Any]) -> None:
        self.reference = TaskReference(name="tests.trainer.tiny:build", options=options)
        self._train = int(options.get("train", 12))

    def examples(self, split: Split, limit: int | None = None) -> Sequence[Example]:
        pairs = [(a, b) for a in range(10) for b in range(10)]
        worked = int(self.reference.options.get("worked", 0))  # every so many sums has its solution
        parts = {"train": pairs[: self._train], "validation": pairs[50:70], "test": pairs[70:]}
        return [
            Example(
                f"{split}-{a}-{b}",
                ({"role": "user", "content": f"{a} + {b} = ?"},),
                str(a + b),
                worked_solution=f"{a} + {b} = {a + b}" if worked and (a + b + 1) % worked == 0 else None,
            )
            for a, b in parts[split][:limit]
        ]

    def extract(self, completion: str) -> Extraction:
        inside = completion.partition("<solution>")[2].partition("</solution>")[0].strip() or None
        numbers = [word for word in completion.split() if word.isdigit()]
        return Extraction(inside, inside or (numbers[-1] if numbers else None))

    def equal(self, extracted: str, gold: str) -> bool:
        return extracted == gold


def build(options: dict[str, Any]) -> Task:
    return Sums(options)


def write_policy(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A random Llama of about 20,000 parameters with a word tokenizer, saved to `folder`; `changes` of its shape."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<end>", "<user>", "<assistant>", "<unknown>"]
    vocabulary = {word: index for index, word in enumerate(special + WORDS)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        eos_token="<end>",
        unk_token="<unknown>",
        additional_special_tokens=["<user>", "<assistant>"],
        chat_template=(
            "{% for message in messages %}<{{ message.role }}> {{ message.content }} {% endfor %}"
            "{% if add_generation_prompt %}<assistant>{% endif %}"
        ),
        model_max_length=128,
    )
    return write_llama(folder, tokenizer, seed, **changes)


def write_llama(folder: Path, tokenizer: Any, seed: int = 0, **changes: Any) -> Path:
    """A random Llama for the tokenizer, saved with it to `folder`; `changes` replace fields of its configuration."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    fields: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "initializer_range": 0.2,
        **changes,
    }
    LlamaForCausalLM(LlamaConfig(**fields)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def training_run(base_model: Path, *members: Member, **changes: Any) -> TrainingRun:
    """Three steps of two groups of four completions, CPU, one thread; `changes` replace fields of the job."""
    grpo = {
        "steps": 3,
        "prompts_per_step": 2,
        "generations": 4,
        "max_completion_tokens": 12,
        "learning_rate": 1e-2,
        **changes.pop("grpo", {}),
    }
    fields: dict[str, Any] = {
        "label": "tiny",
        "base_model": str(base_model),
        "task": TASK,
        "ensemble": Ensemble(name="tiny", members=members or (Member(name="format_approximate"),)),
        "lora": LoraSettings(rank=4, alpha=8),
        "grpo": GrpoSettings(**grpo),
        "seed": 1,
        "hardware": {"device": "cpu"},
        **changes,
    }
    return TrainingRun.model_validate(fields)


def ran(job: Job, folder: Path) -> Any:
    """The result of the job, run in this process in a new folder, and as it lies there."""
    folder.mkdir(parents=True)
    write_model(folder / "job.json", job)
    result = run(folder)
    assert type(result).model_validate_json((folder / "result.json").read_bytes()) == result
    return result


def trained(alone: TrainingRun, folder: Path) -> RunResult:
    """The result of a run by itself."""
    result = ran(TrainJob.of(alone), folder)
    assert isinstance(result, TrainResult)
    assert result.failure is None
    [member] = result.members
    return member
