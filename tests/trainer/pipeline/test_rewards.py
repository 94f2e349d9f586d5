"""The pipeline's rewards: 1 or 0 for accuracy and format, and a gate that is the only difference."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from eval.tasks.testbed.draws import Draws
from eval.tasks.testbed.problem import ProblemOptions
from eval.tasks.testbed.task import problems
from rewards_generated.errors import UserError
from rewards_generated.library import library_codes
from trainer.pipeline.rewards import own_codes, weighted_ensemble
from trainer.testbed.behaviours import HABITS, write_response

RIGHT = "<thinking>17 + 5 = 22. Check 17 + 5 = 22.</thinking><solution>22</solution>"


def function(code: str):
    module = ModuleType("reward")
    exec(compile(code, "reward", "exec"), module.__dict__)  # noqa: S102 - the project's own files
    return module.reward


ACCURACY, FORMAT, GATED = (
    function(own_codes()[name]) for name in ("accuracy", "format", "gated_four_family_reflection")
)
REFLECTION = function(library_codes()["four_family_reflection"])


@pytest.mark.parametrize(
    ("completion", "answer", "accuracy", "form"),
    [
        (RIGHT, "22", 1, 1),
        (RIGHT, "23", 0, 1),
        (RIGHT.replace("</thinking>", ""), "22", 1, 0),
        ("<thinking>so</thinking> <solution> $1,022. </solution>\n", "1022", 1, 1),
        ("<thinking>so</thinking><solution>x + 1</solution>", "x + 1", 1, 1),
        ("<thinking>so</thinking><solution>1</solution><solution>2</solution>", "1", 0, 0),
        ("22", "22", 0, 0),
        ("", "22", 0, 0),
    ],
)
def test_accuracy_and_format_are_one_or_nothing(completion: str, answer: str, accuracy: int, form: int) -> None:
    assert (ACCURACY("", completion, answer), FORMAT("", completion, answer)) == (accuracy, form)


def test_the_gate_is_the_only_difference() -> None:
    """On what the base policy may write: the library's reward beside a right answer, nothing beside a wrong one."""
    task = build_task(TaskReference(name="testbed"))
    stream = problems("train", ProblemOptions())
    paid = unpaid = 0
    for number in range(150):
        problem = next(stream)
        text = write_response(problem, Draws(f"test/{number}"), HABITS[problem.scene])
        strict = task.extract(text).strict
        right = strict is not None and task.equal(strict, str(problem.answer))
        reflection = REFLECTION("", text, str(problem.answer))
        assert GATED("", text, str(problem.answer)) == (reflection if right else 0.0)
        paid += right and reflection > 0
        unpaid += not right and reflection > 0
    assert min(paid, unpaid) > 5


def test_names_are_found_here_among_the_base_rewards_in_the_library_and_in_files(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(own_codes()["format"])
    names = {"accuracy": 1.0, "answer_check": 0.5, "brevity_if_right": 0.0, str(mine): -1.0}
    members = weighted_ensemble("x", names).members
    assert [(member.name, member.weight) for member in members] == [
        ("accuracy", 1.0),
        ("answer_check", 0.5),
        ("brevity_if_right", 0.0),
        ("mine", -1.0),
    ]
    assert [member.is_base for member in members] == [False, True, False, False]


def test_a_file_that_is_not_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def reward(")
    with pytest.raises(UserError, match="not Python"):
        weighted_ensemble("x", {str(tmp_path / "mine.py"): 1.0})
