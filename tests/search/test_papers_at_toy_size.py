"""The presets of the papers, whole, on a small Llama that has seen sixty answers: the path of the real thing.

Only sizes are changed, and the proposer, which asks nobody; precision, optimizer, adapter and losses are the presets'.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from search.cli import main
from trainer.jobs.settings import Hardware, SftSettings
from trainer.sft.fine_tune import FreshModel, fine_tune

pytestmark = pytest.mark.slow
NEEDS_BITSANDBYTES = [
    pytest.mark.bitsandbytes,
    pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"),
]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n"
    "{{ message.content }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
"""Of the kind of Llama 3's."""
SIZES = {
    "search.rounds": 1,
    "search.candidates_per_round": 4,
    "search.reflection_minimum": 0,
    "search.base_rollouts": "{questions: 4, per_question: 4}",
    "prescreen.enabled": "false",
    "proposer.name": "evolve",
    "task.options.validation_size": 20,
    "screening.questions": 6,
    "screening.control_seeds": 1,
    "screening.grpo.steps": 2,
    "screening.grpo.max_completion_tokens": 40,
    "finals.ensembles": "[top-1]",
    "finals.seeds": 1,
    "finals.control_seeds": 1,
    "finals.random_controls": "{first_round: 0, pool: 0}",
    "finals.test_questions": 6,
    "hardware.device": "cpu",
    "hardware.threads": 1,
}


@pytest.fixture(scope="module")
def gsm8k(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated questions in the form of GSM8K's files."""
    folder = tmp_path_factory.mktemp("gsm8k")
    task = build_task(TaskReference(name="word-problems", options={"steps": [1]}))
    for split in ("train", "test"):
        lines = [
            json.dumps({"question": item.question, "answer": f"It is {item.answer}.\n#### {item.answer}"})
            for item in task.examples(split, 60)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


THOUGHTS = ("So.", "I add them. Let me check: it holds.", "First one step. Then the next one. So it is.")


def solved(gsm8k: Path) -> list[dict[str, str]]:
    """Pairs of the train questions with answers in the form that the task asks for, some of them longer than others."""
    found = []
    lines = (gsm8k / "train.jsonl").read_text(encoding="utf-8").splitlines()
    for place, item in enumerate(map(json.loads, lines)):
        solution = item["answer"].rpartition("####")[2].strip()
        text = f"<thinking>{THOUGHTS[place % 3]}</thinking><solution>{solution}</solution>"
        found.append({"prompt": item["question"], "completion": text})
    return found


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory, gsm8k: Path) -> Path:
    """Llama 3.2's architecture (grouped queries, tied embeddings, scaled rotations), with a byte-level BPE tokenizer
    and the special tokens of its kind; from random weights, taught nothing but the form of an answer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, PreTrainedTokenizerFast

    special = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>"]
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pairs = solved(gsm8k)
    pieces.train_from_iterator([pair["prompt"] + pair["completion"] for pair in pairs], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=pieces, bos_token=special[0], eos_token=special[1], chat_template=TEMPLATE
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        tie_word_embeddings=True,
        max_position_embeddings=2048,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 32.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 512,
        },
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(special[-1])],
    )
    folder = tmp_path_factory.mktemp("llama")
    chats = [
        {
            name: [{"role": role, "content": pair[name]}]
            for name, role in (("prompt", "user"), ("completion", "assistant"))
        }
        for pair in pairs
    ]
    settings = SftSettings(steps=60, batch_size=8, learning_rate=5e-3)
    return fine_tune(FreshModel(config, tokenizer), chats, settings, folder / "policy", Hardware(device="cpu")).path


def started(preset: str, llama: Path, gsm8k: Path, folder: Path, **changes: Any) -> int:
    settings = {**SIZES, "base_model": llama, "task.options.source": gsm8k, **changes}
    parts = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    return main(["run", "--preset", preset, "--run-dir", str(folder), *parts])


def trained(folder: Path) -> list[dict[str, Any]]:
    """Descriptions of the training jobs."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "jobs").glob("*/job.json")]
    return [member for job in found if job["kind"] == "train" for member in job["members"]]


def leaderboard(folder: Path) -> dict[str, Any]:
    return {entry["name"]: entry for entry in json.loads((folder / "leaderboard.json").read_text(encoding="utf-8"))}


@pytest.mark.parametrize(
    "quantization",
    [
        pytest.param("none", marks=NEEDS_BITSANDBYTES),
        pytest.param("8bit", marks=NEEDS_BITSANDBYTES),
        pytest.param("4bit", marks=NEEDS_BITSANDBYTES),
    ],
)
def test_the_paper_s_search(quantization: str, llama: Path, gsm8k: Path, tmp_path: Path) -> None:
    changes = {"finals.other_steps": 1, "hardware.quantization": quantization}
    assert started("paper", llama, gsm8k, tmp_path / "run", **changes) == 0
    runs = trained(tmp_path / "run")
    assert {(run["grpo"]["optimizer"], run["hardware"]["dtype"], run["lora"]["rank"]) for run in runs} == {
        ("adamw_8bit", "bfloat16", 32)
    }
    assert {run["hardware"].get("quantization", "none") for run in runs} == {quantization}
    board = leaderboard(tmp_path / "run")
    assert board["top-1"]["failure"] is None
    assert any(name.endswith("-at-1-steps") for name in board)
    assert board["base-rewards-only"]["failure"] is None


def test_multilayer_grpo_s_search(llama: Path, gsm8k: Path, tmp_path: Path) -> None:
    assert started("paper-mgrpo", llama, gsm8k, tmp_path / "run") == 0
    runs = trained(tmp_path / "run")
    assert {run["algorithm"]["name"] for run in runs} == {"multilayer"}
    assert {run["grpo"]["beta"] for run in runs} == {0.04}
    assert leaderboard(tmp_path / "run")["top-1"]["failure"] is None


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_the_reflection_paper_s_pipeline(tuning: str, llama: Path, gsm8k: Path, tmp_path: Path) -> None:
    """On questions of GSM8K's form in place of MATH, whose form the hub alone has."""
    source = tmp_path / "pairs.jsonl"
    source.write_text("".join(json.dumps(pair) + "\n" for pair in solved(gsm8k)), encoding="utf-8")
    task = f"{{name: gsm8k, options: {{source: {gsm8k}, validation_size: 20}}}}"
    settings = {
        "base_model": llama,
        "task": task,
        "sft.tuning": tuning,
        "sft.source": f"{{file: {source}, pairs: 30}}",
        "sft.steps": 2,
        "sft.batch_size": 4,
        "grpo.settings.steps": 2,
        "grpo.settings.prompts_per_step": 2,
        "grpo.settings.max_completion_tokens": 40,
        "evaluation.suites.math": f"{{task: {task}, questions: 6}}",
        "evaluation.max_completion_tokens": 40,
        "hardware.device": "cpu",
    }
    parts = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    assert main(["pipeline", "--preset", "paper-reflection", "--to", str(tmp_path / "staged"), *parts]) == 0
    result = json.loads((tmp_path / "staged" / "result.json").read_text(encoding="utf-8"))
    assert result["failure"] is None
    assert set(result["scores"]) == {"base", "sft", "grpo"}
