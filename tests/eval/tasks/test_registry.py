import sys

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.registry import BUILT_IN_TASKS, build_task, makes_its_questions, task_names
from rewards_generated.errors import UserError


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gsm8m", "did you mean 'gsm8k'"),
        ("zzzz", "choose one of aime24, aime25, .*testbed-tokens"),
        ("no_such_package.tasks:build", "no module 'no_such_package'"),
        ("yaml:no_such", "has no function 'no_such'"),
        ("yaml:__name__", "has no function"),
        ("json:loads", "is a module of Python's own"),
        (":build", "package.module:function"),
        ("json:", "package.module:function"),
    ],
)
def test_unknown_tasks_are_one_sentence(name, message):
    with pytest.raises(UserError, match=message):
        build_task(TaskReference(name=name))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gsm8k", {"sauce": "x"}, "has no field 'sauce'; did you mean 'source'"),
        ("gsm8k", {"validation_size": 0}, "`task.options.validation_size` = 0"),
        ("math", {"answer_format": "box"}, "`task.options.answer_format` = 'box'"),
        ("jsonl", {"train": "a.jsonl"}, "`task.options.test` is missing from task 'jsonl'"),
        ("jsonl", {}, "`task.options.train` is missing"),
    ],
)
def test_bad_options_name_option_value_and_fix(name, options, message):
    with pytest.raises(UserError, match=message):
        build_task(TaskReference(name=name, options=options))


def test_every_built_in_name_has_a_builder():
    for target in BUILT_IN_TASKS.values():
        module, _, function = target.partition(":")
        __import__(module)
        assert callable(getattr(sys.modules[module], function))


def test_a_task_of_ones_own_is_found_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "my_riddles.py").write_text("def build(options):\n    return ('built with', options)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert build_task(TaskReference(name="my_riddles:build", options={"level": 3})) == ("built with", {"level": 3})


def test_a_missing_import_inside_ones_own_module_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "my_broken_riddles.py").write_text("import no_such_dependency\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        build_task(TaskReference(name="my_broken_riddles:build"))


def test_naming_a_task_imports_no_other():
    import subprocess

    code = (
        "import sys; from eval.tasks.registry import build_task; from eval.tasks.base import TaskReference;"
        "build_task(TaskReference(name='jsonl', options={'train': 'a', 'test': 'b'}));"
        "assert not {'torch', 'datasets', 'eval.tasks.gsm8k', 'math_verify'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tasks_that_make_their_questions_need_no_file_and_no_network(tmp_path, monkeypatch):
    makers = [name for name in task_names() if makes_its_questions(name)]
    assert {"testbed", "testbed-depth", "testbed-depth-control", "word-problems", "countdown", "code"} <= set(makers)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", lambda *address: pytest.fail("it asks the network"))
    sizes = {"train": 2, "validation": 2, "test": 2}
    for name in makers:
        assert build_task(TaskReference(name=name, options=sizes)).examples("test", 2)


@pytest.mark.parametrize("name", ["gsm8k", "math", "jsonl", "hub", "verifiers", "mine.tasks:build"])
def test_others_may_fetch_read_or_run_something(name):
    assert not makes_its_questions(name)
