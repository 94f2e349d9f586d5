"""With the package itself: the old form up to 0.3, tasksets from 0.4. Each runs where that version is installed."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.conformance import check_task
from eval.tasks.registry import build_task
from rewards_generated.answers import is_right
from rewards_generated.errors import UserError

try:
    INSTALLED = tuple(map(int, version("verifiers").split(".")[:2]))
except PackageNotFoundError:
    INSTALLED = None
classic = pytest.mark.skipif(INSTALLED is None or INSTALLED >= (0, 4), reason="needs verifiers before 0.4")
tasksets = pytest.mark.skipif(INSTALLED is None or INSTALLED < (0, 4), reason="needs verifiers 0.4")


def task(**options):
    return build_task(TaskReference(name="verifiers", options=options))


def sums():
    import verifiers as vf
    from datasets import Dataset

    parser = vf.XMLParser(fields=["think", "answer"])

    async def equals_gold(parser, completion, answer, **kwargs):
        return 1.0 if parser.parse_answer(completion) == answer else 0.0

    rows = [{"question": f"What is {k} + {k}?", "answer": str(2 * k)} for k in range(50)]
    return vf.SingleTurnEnv(
        dataset=Dataset.from_list(rows[:40]),
        eval_dataset=Dataset.from_list(rows[40:]),
        parser=parser,
        rubric=vf.Rubric(funcs=[equals_gold, parser.get_format_reward_func()], weights=[1.0, 0.2], parser=parser),
        system_prompt=f"Answer so: {parser.get_format_str()}",
    )


def several_turns():
    import verifiers as vf
    from datasets import Dataset

    class Chat(vf.MultiTurnEnv):
        async def env_response(self, messages, state, **kwargs):
            return []

    rows = [{"question": "q", "answer": "a"}]
    return Chat(dataset=Dataset.from_list(rows), max_turns=3, rubric=vf.Rubric(funcs=[]))


@classic
def test_an_environment_of_the_old_form():
    made = task(environment=f"{__name__}:sums", correctness="equals_gold")
    check_task(made)
    assert made.answer_format.tags == ("<think>", "</think>", "<answer>", "</answer>")
    assert {e.answer for e in made.examples("test")} == {str(2 * k) for k in range(40, 50)}
    assert is_right(made, "<think>\nx\n</think>\n<answer>\n84\n</answer>", "84")
    assert not is_right(made, "<think>\nx\n</think>\n<answer>\n85\n</answer>", "84")


@classic
def test_of_several_turns_it_is_refused():
    with pytest.raises(UserError, match="no environment of a single turn"):
        task(environment=f"{__name__}:several_turns", correctness="num_turns")


@classic
@pytest.mark.skipif(importlib.util.find_spec("reasoning_gym") is None, reason="needs reasoning-gym")
def test_a_reasoning_gym():
    made = task(
        environment="verifiers.envs.integrations.reasoninggym_env:ReasoningGymEnv",
        arguments={"gym": "chain_sum", "num_train_examples": 80, "num_eval_examples": 20},
        correctness="check_answer_reward_func",
    )
    check_task(made)
    for example in made.examples("test"):
        gold = sum(int(sign + digits) for sign, digits in _terms(example.question))
        assert is_right(made, made.answer_format.completion("so", str(gold)), example.answer)
        assert not is_right(made, made.answer_format.completion("so", str(gold + 1)), example.answer)
    assert any("is not right as an answer" in note for note in made.notes())


def _terms(question):
    import re

    expression = question.partition(": ")[2].replace(" ", "").removesuffix("=")
    return re.findall(r"([+-]?)(\d+)", expression)


if INSTALLED is not None and INSTALLED >= (0, 4):
    import verifiers.v1 as vf

    class SumData(vf.TaskData):
        answer: str

    class SumTask(vf.Task[SumData]):
        @vf.reward(weight=1.0)
        async def last_word_is_gold(self, trace: vf.Trace) -> float:
            return float((trace.last_reply or " ").split()[-1] == self.data.answer)

        @vf.metric
        async def words(self, trace: vf.Trace) -> float:
            return float(len(trace.last_reply.split()))

        @vf.reward(weight=1.0)
        async def in_a_box(self, trace: vf.Trace, runtime: vf.Runtime) -> float:
            return 1.0

    class SumConfig(vf.TasksetConfig):
        largest: int = 60

    class SumTaskset(vf.Taskset[SumTask, SumConfig]):
        def load(self):
            for k in range(self.config.largest):
                yield SumTask(
                    SumData(prompt=f"What is {k} + {k}?", system_prompt="Only the number.", answer=str(2 * k)),
                    self.config.task,
                )


@tasksets
def test_a_taskset():
    made = task(
        environment=f"{__name__}:SumTaskset",
        arguments={"largest": 50},
        correctness="last_word_is_gold",
        answer_format="answer",
    )
    assert sum(len(made.examples(split)) for split in ("train", "validation", "test")) == 50
    example = made.examples("test")[0]
    assert [message["role"] for message in example.prompt] == ["system", "user"]
    assert is_right(made, f"It is {example.answer}", example.answer)
    assert not is_right(made, f"It is {example.answer} or more", example.answer)
    assert task(**{**made.reference.options, "correctness": "words", "right_from": 3}).equal("1 2 3", example.answer)


@tasksets
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correctness": "exact"}, "no such function, only in_a_box, last_word_is_gold, words"),
        ({"arguments": {"smallest": 1}}, "`task.options.arguments.smallest` is unknown"),
        ({"arguments": {"largest": 0}}, "has no tasks"),
        ({"answer_format": None}, "no parser that tells where"),
    ],
)
def test_tasksets_that_cannot_be_used(options, message):
    given = {"environment": f"{__name__}:SumTaskset", "correctness": "words", "answer_format": "answer", **options}
    with pytest.raises(UserError, match=message):
        task(**given)


@tasksets
def test_a_method_that_needs_a_machine_is_named():
    made = task(environment=f"{__name__}:SumTaskset", correctness="in_a_box", answer_format="answer")
    with pytest.raises(UserError, match="in_a_box needs 'runtime'"):
        made.equal("1", made.examples("test")[0].answer)


@tasksets
@pytest.mark.skipif(importlib.util.find_spec("marble_v1") is None, reason="needs marble-v1")
def test_a_public_taskset_without_end():
    import json

    made = task(
        environment="marble_v1:MarbleTaskset",
        arguments={"pieces": 1},
        correctness="scored",
        questions=12,
        answer_format="answer",
    )
    check = [example for split in ("train", "test") for example in made.examples(split)]
    for example in check:
        solution = json.dumps(json.loads(example.answer)["solution"])
        assert is_right(made, f"So <answer>```json\n{solution}\n```</answer>", example.answer)
        assert not is_right(made, "<answer>```json\n[]\n```</answer>", example.answer)
