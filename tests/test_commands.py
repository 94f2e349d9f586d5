"""Every command of the README and the docs is run here, or its line says what it needs: `# needs a key`, for example.

Commands of one block run one after the other in a folder of their own that holds what a reader would have: a finished
run, rewards, rollouts, predictions. Training is replaced by an executor that trains nothing; all else is real.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import search
from search.cli import main
from tests.search.searches import run_search, write_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NEEDS = ("a key", "a GPU", "an engine", "a cluster", "the network", "time")
"""What a line may say that it needs; what follows, behind a colon or a comma, is free."""

SMALL = """executor.name=tests.search.instant:InstantExecutor search.rounds=1 search.candidates_per_round=2
    search.reflection_minimum=0
    search.base_rollouts={questions: 8, per_question: 2} screening.questions=40 screening.control_seeds=1
    screening.race=[] screening.grpo.steps=2 screening.grpo.prompts_per_step=2 screening.grpo.generations=2
    finals.ensembles=[top-2] finals.seeds=1 finals.control_seeds=1 finals.other_steps=null
    finals.random_controls={pool: 0} finals.test_questions=50"""
REWARD = re.findall(r"```python\n(.*?)```", PAGES[0].read_text(encoding="utf-8"), re.S)[0]
ANSWER = "\n".join(
    f"name: my_{name}\nfamily: correctness\ndescription: Of the library.\n```python\n"
    f"{(ROOT / 'rewards_generated' / 'library' / f'{name}.py').read_text(encoding='utf-8')}```\n"
    for name in ("solution_follows", "chained_steps")
)
SESSIONS = ("docs/agents/SKILL.md",)
"""Pages whose blocks go on from each other."""
REWARDS = '"""Of another trainer."""\n\n\ndef accuracy(completions, answer, **kwargs):\n    """Right ones."""\n' + (
    "    return [float(gold in text.split()) for text, gold in zip(completions, answer)]\n"
)


def blocks() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        found = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
        for number, block in enumerate(found, 1):
            lines = block.replace("\\\n", " ").splitlines()
            yield (
                f"{page.relative_to(ROOT)}-{number}",
                [line for line in lines if line.startswith(("reward-search ", "cd "))],
            )


def need(line: str) -> str | None:
    found = re.search(r"#.*\bneeds ([^:,;]+)", line)
    return found[1].strip() if found else None


BLOCKS: dict[str, list[str]] = {}
for _name, _lines in blocks():
    _page = _name.rpartition("-")[0]
    BLOCKS.setdefault(_page if _page in SESSIONS else _name, []).extend(line for line in _lines if need(line) is None)


def test_what_a_line_needs_is_said_in_known_words() -> None:
    said = {need(line) for _, lines in blocks() for line in lines} - {None}
    assert said <= set(NEEDS)
    assert "a key" in said


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    code, run = run_search(folder, name="runs/mine")
    assert code == 0
    shutil.copytree(run, folder / "runs/quick")
    write_config(folder)
    for name in ("my_reward.py", "candidate.py"):
        (folder / name).write_text(REWARD, encoding="utf-8")
    (folder / "rewards.py").write_text(REWARDS, encoding="utf-8")
    (folder / "answer.md").write_text(ANSWER, encoding="utf-8")
    (folder / "my_ensemble.toml").write_text(
        'name = "mine"\naggregation = "sum"\n\n[[members]]\nname = "mine"\nfile = "my_reward.py"\n', encoding="utf-8"
    )
    rollouts = [
        {
            "id": k,
            "prompt": f"What is {k} + 1 ?",
            "completion": f"<solution>{k + 1}</solution>",
            "answer": str(k + k % 2),
        }
        for k in range(1, 9)
    ]
    predictions = [{"id": k, "correct": k % 3 > 0, "answered": True, "seed": 0} for k in range(60)]
    files = {"rollouts": rollouts, "base": predictions, "tuned": predictions, "ablated": predictions}
    for name, records in files.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    assert main(["export", str(folder / "my_ensemble.toml"), "--to", str(folder / "my_reward")]) == 0
    return folder


def arguments(line: str) -> tuple[list[str], str | None]:
    """The words of a command line, and the file that its output goes to."""
    words = shlex.split(line, comments=True)[1:]
    if ">" in words:
        return words[: words.index(">")], words[words.index(">") + 1]
    return words, None


def adapted(words: list[str]) -> list[str]:
    """In small, with the names that a finished run has."""
    named = {"gated_check": "reward-101", "CANDIDATE": "reward-101", "runs/mine:CANDIDATE": "runs/mine:reward-101"}
    if "NAME" in words:
        with search.open_run(words[1]) as run:
            named["NAME"] = run.candidates().name[0]
    command, *rest = [named.get(word, word) for word in words]
    if command not in ("run", "study") or "--resume" in rest:
        return [command, *rest]
    small = [part for field in re.split(r"\s+(?=\w+\.)", SMALL) for part in ("--set", field)]
    if command == "run":
        return [command, *small, *rest]
    return [command, rest[0], *small, "--set", "search.rounds=2", *rest[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("block", [name for name, lines in BLOCKS.items() if lines])
def test_the_commands_of_a_block_run(
    block: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "here"
    shutil.copytree(world, folder)
    monkeypatch.chdir(folder)
    for line in BLOCKS[block]:
        words, target = arguments(line)
        if line.startswith("cd "):
            monkeypatch.chdir(words[0])
            continue
        for option in ("--to", "--run-dir"):
            if option in words and "--resume" not in words:  # the world has it already
                shutil.rmtree(words[words.index(option) + 1], ignore_errors=True)
        capsys.readouterr()
        code = main(adapted(words))
        printed = capsys.readouterr()
        assert code == 0 or (words[0] == "doctor" and code == 1), f"{line}\n{printed.out[-2000:]}{printed.err}"
        if target is not None:
            Path(target).write_text(printed.out, encoding="utf-8")
