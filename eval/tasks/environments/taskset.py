"""Tasksets of verifiers 0.4 and later, whose tasks judge a trace by methods of their own."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from eval.tasks.base import Message
from eval.tasks.environments.base import Part, Row, called, messages, named
from rewards_generated.errors import UserError


class TasksetEnvironment:
    """Raises UserError for tasks that need more than one answer, or that lack the correctness function."""

    system_prompt = ""

    def __init__(self, taskset: Iterable[Any], correctness: str, where: str) -> None:
        self._taskset, self._correctness, self._where = taskset, correctness, f"{where}: {correctness}"
        task = next(iter(taskset), None)
        if task is None:
            raise UserError(f"{where} has no tasks")
        if task.NEEDS_CONTAINER or task.data.image is not None or type(task).toolsets(task.config):
            raise UserError(f"{where} needs a container or tools: a policy here answers once, in text")
        named({function.__name__: function for function in _functions(task)}, correctness, where)

    def rows(self, part: Part, limit: int) -> list[Row] | None:
        return None if part == "test" else [self._row(task) for task in islice(self._taskset, limit)]

    def parse(self, completion: str) -> str | None:
        return completion.strip() or None

    def verdict(self, row: Row, completion: str) -> float:
        task = row.record
        functions = {function.__name__: function for function in _functions(task)}
        return called(functions[self._correctness], {"task": task.data, "trace": _trace(task, completion)}, self._where)

    def _row(self, task: Any) -> Row:
        import verifiers.v1 as vf

        data = task.data
        own = type(data).model_fields.keys() - vf.TaskData.model_fields.keys()
        facts = {name: value for name, value in data.model_dump(mode="json").items() if name in own}
        prompt = messages(data.prompt, self._where)
        system: tuple[Message, ...] = ()
        if data.system_prompt:
            system = ({"role": "system", "content": data.system_prompt},)
        return Row((*system, *prompt), str(facts.get("answer", "")), facts, task)


def _functions(task: Any) -> list[Any]:
    return [*task.hooks("metric"), *task.hooks("reward")]


def _trace(task: Any, completion: str) -> Any:
    """The trace of one answer, as a run of an agent would have left it."""
    import verifiers.v1 as vf
    from verifiers.v1.graph import MessageNode
    from verifiers.v1.state import state_cls
    from verifiers.v1.trace import AgentInfo, Trace, TraceTask

    asked = vf.UserMessage(content=task.data.prompt_text)
    answered = vf.AssistantMessage(content=completion)
    return Trace(
        task=TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash),
        state=state_cls(type(task))(),
        agent=AgentInfo(config=vf.AgentConfig()),
        nodes=[MessageNode(message=asked), MessageNode(message=answered, parent=0, sampled=True)],
        is_completed=True,
        ok=True,
    )
