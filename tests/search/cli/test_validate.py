"""`reward-search validate`: the verdict in words or JSON, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rewards_generated.identity import identity
from search.cli import main

GOOD = "def reward(prompt, completion, answer):\n    return 0.5 * min(completion.count('='), 3)\n"
BAD = "import os\n\ndef reward(prompt, completion, answer):\n    return 1.0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    return tmp_path


def test_accepted_exits_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(folder / "good.py")]) == 0
    out = capsys.readouterr().out
    assert f"{folder / 'good.py'}: accepted in" in out
    assert identity(GOOD) in out
    assert "warn ignores_answer" in out
    assert "FAIL" not in out


def test_one_rejected_among_several_exits_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(folder / "good.py"), str(folder / "bad.py")]) == 1
    out = capsys.readouterr().out
    assert "good.py: accepted" in out
    assert "bad.py: REJECTED" in out
    assert "line 1: `import os` is not allowed" in out


def test_json_is_for_machines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--json", str(folder / "good.py"), str(folder / "bad.py")]) == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert good["accepted"] is True
    assert good["identity"] == identity(GOOD)
    assert bad["accepted"] is False
    assert bad["file"].endswith("bad.py")
    assert [item["name"] for item in bad["checks"] if not item["passed"]] == ["policy"]


def test_rollouts_of_ones_own_are_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollouts = folder / "rollouts.jsonl"
    lines = [
        {
            "prompt": [{"role": "user", "content": "q"}],
            "completion": f"word {place}",
            "answer": 7,
            "group": str(place // 2),
        }
        for place in range(8)
    ]
    rollouts.write_text("\n".join(map(json.dumps, lines)) + "\n")
    assert main(["validate", str(folder / "good.py"), "--rollouts", str(rollouts)]) == 1
    assert "FAIL constant" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "holds no rollouts"),
        ("{", "line 1 is not JSON"),
        ("[1]", "line 1 is not a JSON object"),
        ('{"prompt": 1, "completion": "a", "answer": "b"}', "`prompt` is '1'"),
        ('{"prompt": "p", "completion": [], "answer": "b"}', "`completion` is '[]'"),
        ('{"prompt": "p", "completion": "c"}', "`answer` is None"),
        ('{"prompt": "p", "completion": "c", "answer": "b", "correct": "yes"}', "`correct` is 'yes'"),
    ],
)
def test_bad_rollouts_are_a_sentence_and_exit_2(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    path = folder / "rollouts.jsonl"
    path.write_text(line)
    assert main(["validate", str(folder / "good.py"), "--rollouts", str(path)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [["gone.py"], ["."], [], ["--nonsense"], ["good.py", "--rollouts", "gone.jsonl"]])
def test_bad_usage_exits_2_before_anything_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(folder)
    assert main(["validate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_text_that_is_not_utf8_is_bad_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "latin.py").write_bytes(b"# \xe9\n")
    assert main(["validate", str(folder / "latin.py")]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_a_syntax_error_is_one_sentence_with_its_line_and_nothing_is_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.py").write_text("import re\ndef reward(prompt, completion, answer)\n    return 1.0\n")
    assert main(["validate", str(folder / "good.py"), str(folder / "broken.py")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "broken.py, line 2 is not Python: expected ':'" in captured.err


def test_a_byte_order_mark_is_no_syntax_error(folder: Path) -> None:
    (folder / "marked.py").write_text(GOOD, encoding="utf-8-sig")
    assert main(["validate", str(folder / "marked.py")]) == 0


def test_rollouts_give_the_figures_of_the_pre_screen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        {
            "prompt": "q",
            "completion": f"<thinking>{'1 = 1 ' * (place % 4)}</thinking><solution>{7 + place % 2}</solution>",
            "answer": 7,
            "group": str(place // 8),
        }
        for place in range(64)
    ]
    (folder / "rollouts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "twice.py").write_text(GOOD.replace("0.5", "1.0"))
    files = [str(folder / name) for name in ("good.py", "bad.py", "twice.py")]
    arguments = ["validate", *files, "--rollouts", str(folder / "rollouts.jsonl"), "--generations", "4"]
    assert main(arguments) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("before training, on 64 rollouts") == 2
    assert "groups of 4 with spread" in out
    assert f"most like {files[0]}: correlation of ranks +1.000" in out
    assert main([*arguments, "--json"]) == 1
    good, bad, twice = json.loads(capsys.readouterr().out)
    # Right ones have 0 or 2 equations, wrong ones 1 or 3: right wins one pair in four.
    assert good["prescreening"]["auc"][0] == 0.25
    assert bad["prescreening"] is None
    assert twice["prescreening"]["closest"]["name"] == files[0]


BOXED = """import re


def reward(prompt, completion, answer):
    found = re.findall(r"boxed{([^{}]*)}", completion)
    return 1.0 if found and found[-1].strip() == answer else 0.0
"""


def test_probes_have_the_form_that_the_code_looks_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "boxed.py").write_text(BOXED)
    assert main(["validate", str(tmp_path / "boxed.py")]) == 0
    assert "answers in the form the answer in \\boxed{}; probes are constructed in it" in capsys.readouterr().out


def test_a_reward_is_not_blamed_for_what_only_its_probes_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "boxed.py").write_text(BOXED)
    assert main(["validate", str(tmp_path / "boxed.py"), "--format", "think/answer"]) == 1
    out = capsys.readouterr().out
    assert "read `completion`" not in out
    assert "no difference shown between completions of one question, on 200 constructed completions" in out
    assert "if your completions have another form than <think>...</think> and then <answer>answer</answer>" in out
    assert "ok   ignores_answer       not shown: " in out


def test_formats_and_tasks_that_are_none_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, said in (
        (["--format", "box"], "--format box: 'box' is no answer format: choose 'solution', 'answer', 'boxed'"),
        (["--format", "boxed", "--task", "gsm8k"], "keep one"),
        (["--task", "gsm9k"], "gsm8k"),
    ):
        assert main(["validate", str(folder / "good.py"), *options]) == 2
        assert said in capsys.readouterr().err


def test_rollouts_without_correct_are_judged_by_the_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "boxed.py").write_text(BOXED)
    completions = ("\\boxed{0.5}", "\\boxed{\\frac{1}{2}}", "\\boxed{3}", "none")
    lines = [{"prompt": "q", "completion": text, "answer": "0.5"} for text in completions]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    main(["validate", str(tmp_path / "boxed.py"), "--rollouts", str(tmp_path / "r.jsonl"), "--task", "math", "--json"])
    (record,) = json.loads(capsys.readouterr().out)
    area = next(item["value"] for item in record["checks"] if item["name"] == "auc")
    assert area == 0.75  # one of two right ones is paid
    assert record["answer_format"] == "boxed"


def test_every_reward_of_a_file_is_checked_and_how_to_choose_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.py").write_text(
        "def first(completions, **kwargs):\n    return [0.1 * min(c.count('='), 3) for c in completions]\n\n\n"
        "def second(completions, **kwargs):\n    return [1.0 for c in completions]\n"
    )
    assert main(["validate", str(tmp_path / "two.py")]) == 1
    out = capsys.readouterr().out
    assert f"has 2 rewards (first, second); each is checked. Name one as {tmp_path}/two.py:first" in out
    assert "two.py:first: accepted" in out
    assert "two.py:second: REJECTED" in out
    assert main(["validate", f"{tmp_path}/two.py:first"]) == 0


def test_the_page_holds_verdict_figures_and_code_and_escapes_them(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BOXED.replace("import re", "# <script>alert(1)</script>\nimport re"))
    lines = [
        {"prompt": f"q{place // 4}", "completion": f"\\boxed{{{place % 3}}}", "answer": "1"} for place in range(40)
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    page = tmp_path / "page.html"
    options = ["--rollouts", str(tmp_path / "r.jsonl"), "--format", "boxed", "--page", str(page)]
    code = main(["validate", str(tmp_path / "mine.py"), *options])
    html = page.read_text()
    assert code == 0
    assert "1 of 1 accepted by the gate" in html
    assert "AUC within a question" in html
    assert "(library)" in html
    assert "time per completion" in html
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert main(["validate", str(tmp_path / "mine.py"), "--page", str(tmp_path / "none" / "page.html")]) == 2
