"""The export writes what was gated, whatever the code looks like, and refuses what it cannot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.export import source
from rewards_generated.gate.corpus import hostile_inputs
from rewards_generated.hosts import read_reward
from tests.rewards_generated.export.hosts import load
from tests.rewards_generated.export.test_scores import export
from tests.rewards_generated.group_rewards import SHORTER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the seal exists on Linux only")

BATCH = "def reward(completions, **kwargs):\n    return [float(len(text) % 7) for text in completions]\n"
PLAIN = "def reward(p, completion, a):\n    return float(len(completion) % 7)\n"
FORMS = {
    "two spaces": BATCH.replace("def reward", "def  reward"),
    "a form feed": "A = 'a\fb'\n\f\n" + BATCH,
    "typographic line ends": "A = 'a\u2028b\u2029c\x85d'  # \u2028\n" + BATCH,
    "a later definition": BATCH.replace("% 7", "% 5") + "\n\n" + BATCH,
    "a nested definition": "def other():\n    def reward(x):\n        return 99.0\n    return 1\n\n\n" + BATCH,
    "a text that says so": "TEXT = '''\ndef reward(completions):\n    return []\n'''\n" + BATCH,
    "triple quotes": 'def reward(p, completion, a):\n    return float(len(completion + """x\'\'\'y""") % 9)\n',
    "a raw text with backslashes": "T = r'\\n\\\\'\ndef reward(p, text, a):\n    return float(len(text + T) % 9)\n",
    "carriage returns": "def reward(p, completion, a):\r\n    return float(len(completion) % 9)\r\n",
}


QUICK = ("two spaces", "a form feed", "triple quotes")


@pytest.mark.parametrize(
    "code",
    [pytest.param(code, id=name, marks=() if name in QUICK else pytest.mark.slow) for name, code in FORMS.items()],
)
def test_every_form_is_written_as_it_was_gated(code: str, tmp_path: Path) -> None:
    ensemble = Ensemble(name='it\'s "mine"\\', members=(Member(name="a 'member' \"here\"\\", code=code),))
    module = load(export(ensemble, tmp_path / "exported") / "reward.py")
    expected = {"triple quotes": 5, "a raw text with backslashes": 4}
    name = next(name for name, text in FORMS.items() if text == code)
    modulus = 7 if "completions" in code else 9
    for item in hostile_inputs()[:9]:
        (value,) = module.score(["p"], [item.sample.completion], ["2"])
        assert value == (len(item.sample.completion) + expected.get(name, 0)) % modulus


def test_a_group_and_a_worked_solution_are_asked_too(tmp_path: Path) -> None:
    asking = "def reward(p, c, a, worked_solution):\n    return float(len(worked_solution or '') % 9 + len(c) % 3)\n"
    members = (Member(name="group", code=SHORTER), Member(name="asking", code=asking), Member(name="answer_check"))
    assert (export(Ensemble(name="mine", members=members), tmp_path / "exported") / "reward.py").is_file()


@pytest.mark.parametrize(
    "code",
    [
        "def reward(p, c, a):\n    return float(len(__name__))\n",
        "def reward(p, c, a):\n    return 1.0 if __name__ == 'reward_module' else 0.0\n",
    ],
)
def test_a_member_that_scores_otherwise_outside_is_refused(code: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'mine' is not exported: written out it gives .* passed the gate gives"):
        export(Ensemble(name="mine", members=(Member(name="member", code=code),)), tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_the_export_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "import_batch_reward", lambda code: code.replace("% 7", "% 5"))
    ensemble = Ensemble(name="mine", members=(Member(name="member", code=PLAIN),))
    with pytest.raises(UserError, match="written out it gives"):
        export(ensemble, tmp_path / "exported")


def test_lines_of_an_imported_file_are_counted_as_python_counts_them(tmp_path: Path) -> None:
    file = tmp_path / "rewards.py"
    text = "A = 'x\u2028\fy'\n\n\ndef one(completions):\n    return [len(A) + 0.0] * len(completions)\n\n\n"
    file.write_text(text + "def two(completions):\n    return [2.0]\n", encoding="utf-8")
    code = read_reward(f"{file}:one").code
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102
    assert names["one"](["x"]) == [4.0]  # type: ignore[operator]
