import itertools
import os
import queue
import sys
import threading

import pytest

from rewards_generated.answers import ANSWER_FORMATS, AnswerRules, equal_answers, extract_answer, is_right, programs
from rewards_generated.answers.program_reward import fingerprint
from rewards_generated.answers.programs import judge_ahead, passes, read_tests
from rewards_generated.base import base_rewards
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import SandboxUnavailable, UserError
from rewards_generated.export.source import reward_source
from rewards_generated.sandbox import RewardWorker
from rewards_generated.sandbox.settings import WEAKEST

GOLD = """
def double(value):
    return value * 2

assert double(2) == 4
assert double([1, 'x']) == [1, 'x', 1, 'x']
assert double(-3) == -6
"""
RIGHT = "def double(value):\n    return value + value\n"


def test_a_program_is_right_if_it_passes_every_test():
    assert passes(GOLD, GOLD)
    assert passes(RIGHT, GOLD)
    assert passes(f"```python\n{RIGHT}```", GOLD)
    assert passes(f"import math\nfrom typing import List\nimport collections, itertools, re\n{RIGHT}", GOLD)
    assert equal_answers(RIGHT, GOLD, "program")


@pytest.mark.parametrize(
    "program",
    [
        "",
        "def double(value",
        "def twice(value): return value * 2",
        "def double(value): return value * 2 if value != -3 else 6",
        "def double(value): return str(value * 2)",
        "def double(value): raise ValueError",
        "raise SystemExit",
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "def double(value):\n    while True: pass",
        "def double(value): return 'x' * 10**12",
        "def double(value): return double(value)",
        "import numpy",
        "open('/etc/passwd').read()",
        "import socket",
        "assert False",
        # An object that says that it equals everything; values are compared where no code of the program runs.
        "class Yes:\n    def __eq__(self, other): return True\ndef double(value): return Yes()",
        "class Yes(int):\n    def __eq__(self, other): return True\ndef double(value): return Yes(5)",
        # Tampering with what scores it.
        "import hashlib\nhashlib.sha256 = lambda *a: None\ndef double(value): return value",
        "import builtins\nbuiltins.eval = lambda *a: True\ndef double(value): return value",
        "import sys\nsys.modules['reward_module'].fingerprint = lambda values: 0.5\ndef double(value): return value",
        "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'K' * 64)\n    except OSError: pass",
        "import os\nos.fork()\ndef double(value): return value * 2",
        "import os\nos.kill(os.getppid(), 9)",
        "x" * 30_000,
        "\x00",
        "\ud800",
    ],
)
def test_what_is_not_right(program):
    assert not passes(program, GOLD)
    assert passes(RIGHT, GOLD), "the next program is none the worse for it"


def test_no_program_runs_here(tmp_path):
    trace = tmp_path / "trace"
    program = f"import os, sys, threading\nsys.modules['was_here'] = sys\nopen({str(trace)!r}, 'w')\n{RIGHT}"
    before = (set(sys.modules), threading.active_count(), os.getcwd())
    assert not passes(program, GOLD)
    assert not trace.exists()
    assert "was_here" not in sys.modules
    assert before[2] == os.getcwd()


def test_what_a_program_leaves_behind_reaches_no_other():
    passes(
        "import builtins, math\nbuiltins.len = lambda x: 7\nmath.sqrt = None\ndef length(x): return 7",
        "assert length([]) == 0",
    )
    gold = "assert length([1, 2]) == 2\nassert root(9) == 3"
    assert passes("import math\ndef length(x): return len(x)\ndef root(x): return math.sqrt(x)", gold)


def test_the_sandbox_is_not_told_what_is_expected():
    tests = read_tests("assert secret(1) == 12345\nassert good('a')\nassert not good('b')")
    assert "12345" not in tests.expressions
    assert tests.expressions == '["secret(1)", "bool(good(\'a\'))", "bool(not good(\'b\'))"]'
    assert tests.expected == fingerprint([12345, True, True])


@pytest.mark.parametrize(
    ("value", "literal", "same"),
    [
        ("2.0", "2", True),
        ("0.1 + 0.2", "0.3", True),
        ("True", "1", True),
        ("[1, 2]", "(1, 2)", False),
        ("[1, 2]", "[2, 1]", False),
        ("{2, 1}", "{1, 2}", True),
        ("{'b': 1, 'a': 2}", "{'a': 2, 'b': 1}", True),
        ("__import__('collections').Counter('aab')", "{'a': 2, 'b': 1}", True),
        ("float('nan')", "None", False),
        ("float('inf')", "1", False),
        ("'1'", "1", False),
        ("None", "0", False),
        ("[[1], ['a,b']]", "[[1], ['a,b']]", True),
        ("['a', 'b']", "['a,b']", False),
        ("object()", "None", False),
        ("(x for x in [1])", "[1]", False),
    ],
)
def test_values_are_compared_as_python_compares_them(value, literal, same):
    assert passes(f"def f(): return {value}", f"assert f() == {literal}") == same


def test_a_value_that_contains_itself_is_not_right():
    assert not passes("def f():\n    a = []\n    a.append(a)\n    return a", "assert f() == []")


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ("def f(", "not Python text"),
        ("def f(): return 1", "has no line `assert"),
        ("assert f(1) == g(2)", "`assert f\\(1\\) == g\\(2\\)` compares with no literal"),
    ],
)
def test_golds_without_tests_are_refused(gold, message):
    with pytest.raises(ValueError, match=message):
        read_tests(gold)
    assert not equal_answers("def f(x): return x", gold, "program")


def test_programs_are_read_from_completions():
    form = ANSWER_FORMATS["solution"]
    found = extract_answer(f"<thinking>so</thinking><solution>\n{RIGHT}</solution>", form, "program")
    assert found.strict == found.flexible == RIGHT.strip()
    found = extract_answer(
        f"I would write\n```python\nx = 1\n```\nor rather\n```python\n{RIGHT}```\nDone.", form, "program"
    )
    assert (found.strict, found.flexible) == (None, RIGHT)
    assert extract_answer("The answer is 5.", form, "program").flexible is None
    long = "x = 1\n" * 500 + RIGHT
    assert extract_answer(f"<solution>{long}</solution>", form, "program").strict == long.strip()


def test_the_base_reward_judges_as_evaluation_does():
    rules = AnswerRules(answer_kind="program")
    reward = base_rewards(rules)["answer_check"]
    for program, right in ((RIGHT, True), ("def double(value): return 4", False)):
        completion = rules.answer_format.completion("so", program)
        assert is_right(rules, completion, GOLD) == right
        assert reward("", completion, GOLD) == (3.0 if right else -1.5)


def test_a_batch_is_judged_side_by_side_and_remembered(monkeypatch):
    rules = AnswerRules(answer_kind="program")
    monkeypatch.setattr(programs, "_workers_at_once", lambda: 4)
    monkeypatch.setattr(programs, "TIME_LIMIT_SECONDS", 0.5)
    workers = queue.SimpleQueue()
    monkeypatch.setattr(programs, "_idle_workers", lambda process: workers)
    together, calls, real = threading.Barrier(4), itertools.count(), RewardWorker.score

    def score(*arguments):
        if next(calls) < 4:
            together.wait(60)  # until all four are here: else it breaks
        return real(*arguments)

    monkeypatch.setattr(RewardWorker, "score", score)
    endless = [f"def double(value):\n    while True: pass\n# {k}" for k in range(4)]
    completions = [rules.answer_format.completion("so", program) for program in [*endless, RIGHT]]
    judge_ahead(rules, completions, [GOLD] * 5)
    assert not together.broken
    asked = next(calls)
    assert [is_right(rules, completion, GOLD) for completion in completions] == [False] * 4 + [True]
    assert next(calls) == asked + 1, "nothing was judged anew"


def test_programs_without_end_and_without_a_constant_value_spoil_no_later_answer(monkeypatch):
    """What ends a reward says nothing of the next program."""
    monkeypatch.setattr(programs, "TIME_LIMIT_SECONDS", 0.5)
    workers = queue.SimpleQueue()
    monkeypatch.setattr(programs, "_idle_workers", lambda process: workers)
    assert not passes("def double(value):\n    while True: pass\n# alone", GOLD)
    worker = workers.get()
    worker.counts.waited = 1e6
    workers.put(worker)
    assert not passes("def double(value):\n    while True: pass\n# once more", GOLD)
    chance = "import random\nstart = random.Random(id(object()) // 16).random()\ndef double(value): return start\n"
    assert not any(passes(f"{chance}# {k}", GOLD) for k in range(60))
    assert worker.recheck() is None
    assert passes(f"{RIGHT}# at the end", GOLD)


def test_a_sandbox_that_cannot_be_had_is_no_wrong_answer(monkeypatch):
    workers = queue.SimpleQueue()
    monkeypatch.setattr(programs, "_idle_workers", lambda process: workers)
    monkeypatch.setattr(programs, "_new_worker", lambda: RewardWorker("", seal=WEAKEST))
    with pytest.raises(SandboxUnavailable):
        passes(f"{RIGHT}# without a sandbox", GOLD)


def test_other_kinds_of_answers_are_not_judged_ahead():
    judge_ahead(AnswerRules(), ["<solution>raise SystemExit</solution>"], ["no tests"])


def test_an_exported_folder_runs_no_programs():
    def ensemble(*names):
        return Ensemble(name="e", members=tuple(Member(name=name) for name in names), answer_kind="program")

    with pytest.raises(UserError, match="has no sandbox for: train with"):
        reward_source(ensemble("format_exact", "answer_check"))
    assert "format_exact" in reward_source(ensemble("format_exact"))
