"""Pairs of prompt and completion for supervised fine-tuning: from a JSONL file, from the worked solutions of the task's
train split, or reasoning traces of the testbed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from eval.tasks.base import Example, Message, Task, TaskReference
from eval.tasks.registry import build_task
from rewards_generated.errors import UserError
from trainer.jobs.fine_tune import FineTuneJob

_ROLES = ("system", "user", "assistant")


def read_pairs(job: FineTuneJob) -> list[dict[str, list[Message]]]:
    """The job's pairs in the conversational form of TRL.

    Raises UserError for a file that cannot be read, has changed since the job was described or holds anything else,
    and without one for a task that has no worked solutions.
    """
    source = job.source
    if source.file is None:
        return _traces(job) if job.task.name == "testbed" else _worked(job)
    content = _content(job.placed(source.file))
    if job.file_sha256 is not None and hashlib.sha256(content).hexdigest() != job.file_sha256:
        raise UserError(f"{source.file} has changed since this run began; put the file back, or begin anew")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{source.file} is not UTF-8 text (byte {error.start}): convert it first") from None
    pairs: list[dict[str, list[Message]]] = []
    # Not splitlines(): JSON strings may hold U+2028 and other characters that it would break at.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and len(pairs) < source.pairs:
            pairs.append(_pair(line, f"{source.file}, line {number}"))
    if not pairs:
        raise UserError(f"{source.file} holds no pairs: it is empty")
    return pairs


def file_sha256(path: str) -> str:
    """SHA-256 of the file's content, hex. Raises UserError if it cannot be read."""
    return hashlib.sha256(_content(path)).hexdigest()


def require_solutions(reference: TaskReference) -> None:
    """Raises UserError if the task's own questions give no pairs."""
    if reference.name != "testbed":
        _solved(build_task(reference), 1)


def _solved(task: Task, limit: int) -> list[Example]:
    """The first train questions with a worked solution. Raises UserError if none has one."""
    found = [example for example in task.examples("train") if example.worked_solution is not None]
    if not found:
        raise UserError(
            f"sft.source.file is empty, and the task {task.reference.name!r} has no worked solutions: name a JSONL "
            "file of pairs, or set sft.tuning to none"
        )
    return found[:limit]


def _worked(job: FineTuneJob) -> list[dict[str, list[Message]]]:
    """The data set's own reasoning and answer, in the form of the task's answers."""
    task = build_task(job.placed_task(job.task))
    form = task.answer_format
    return [
        {
            "prompt": list(example.prompt),
            "completion": [
                {"role": "assistant", "content": form.completion(str(example.worked_solution), example.answer)}
            ],
        }
        for example in _solved(task, job.source.pairs)
    ]


def _traces(job: FineTuneJob) -> list[dict[str, list[Message]]]:
    from eval.tasks.testbed.problem import ProblemOptions
    from eval.tasks.testbed.task import TestbedOptions
    from rewards_generated.validation import read_options
    from trainer.testbed.corpus import traces

    options = read_options(TestbedOptions, job.task.options, "task.options", "task 'testbed'")
    count = min(job.source.pairs, options.train)
    problems = ProblemOptions(**options.model_dump(include=set(ProblemOptions.model_fields)))
    written = traces(problems, count, job.source.reflecting, job.settings.seed)
    return [{"prompt": pair["prompt"], "completion": pair["completion"]} for pair in written]


def _content(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise UserError(f"sft.source.file = {path!r} cannot be read: {error.strerror}") from None


def _pair(line: str, where: str) -> dict[str, list[Message]]:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        raise UserError(f"{where}: this is not JSON: {line[:60]!r}") from None
    if not isinstance(record, dict) or not {"prompt", "completion"} <= record.keys():
        raise UserError(f"{where}: a pair needs the fields 'prompt' and 'completion'")
    return {
        "prompt": _messages(record["prompt"], "user", f"{where}, prompt"),
        "completion": _messages(record["completion"], "assistant", f"{where}, completion"),
    }


def _messages(value: Any, role: str, where: str) -> list[Message]:
    if isinstance(value, str):
        value = [{"role": role, "content": value}]
    if not isinstance(value, list) or not value:
        raise UserError(f"{where}: expected a text or a list of chat messages")
    for message in value:
        known = isinstance(message, dict) and message.get("role") in _ROLES
        if not known or not isinstance(message.get("content"), str):
            raise UserError(f"{where}: every message needs a role ({', '.join(_ROLES)}) and a text as content")
    if value[-1]["role"] != role:
        raise UserError(f"{where}: the last message must be of the {role}, not of the {value[-1]['role']}")
    return [{"role": message["role"], "content": message["content"]} for message in value]
