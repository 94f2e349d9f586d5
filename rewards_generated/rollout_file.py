"""Rollouts from a JSONL file, one object per line, for the gate and for scoring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rewards_generated.adapters.text import completion_text, prompt_text
from rewards_generated.base import answer_check, solution_text
from rewards_generated.errors import UserError
from rewards_generated.rollout import Rollout

FORM = '{"prompt": ..., "completion": ..., "answer": ..., "correct": true, "answered": true, "group": "id"}'


def read_rollouts(path: Path) -> list[Rollout]:
    """The rollouts of the file, in order.

    `prompt` and `completion` are text or chat messages. Without `correct` and `answered` they are read off the
    solution tags; without `group` the prompt stands for it. Raises UserError naming the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; rollouts are JSON lines such as {FORM}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    rollouts = [
        _rollout(line, f"{path}, line {number}")
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    if not rollouts:
        raise UserError(f"{path} holds no rollouts; write one JSON object per line such as {FORM}")
    return rollouts


def _rollout(line: str, where: str) -> Rollout:
    try:
        item = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{where} is not JSON ({error}); write one object per line such as {FORM}") from None
    if not isinstance(item, dict):
        raise UserError(f"{where} is not a JSON object; write {FORM}")
    prompt = prompt_text(_text(item, "prompt", where))
    completion = completion_text(_text(item, "completion", where))
    answer = item.get("answer")
    if not isinstance(answer, str | int | float) or isinstance(answer, bool):
        raise UserError(f"{where}: `answer` is {answer!r}; give the gold answer as text or a number")
    gold = str(answer)
    correct = _flag(item, "correct", where)
    answered = _flag(item, "answered", where)
    return Rollout(
        prompt,
        completion,
        gold,
        answer_check(prompt, completion, gold) == 3.0 if correct is None else correct,
        bool(solution_text(completion)) if answered is None else answered,
        str(item.get("group", prompt)),
    )


def _text(item: dict[str, Any], field: str, where: str) -> Any:
    value = item.get(field)
    if isinstance(value, str) or (isinstance(value, list) and value and all(isinstance(part, dict) for part in value)):
        return value
    raise UserError(f"{where}: `{field}` is {str(value)[:60]!r}; give text or a list of chat messages")


def _flag(item: dict[str, Any], field: str, where: str) -> bool | None:
    value = item.get(field)
    if value is None or isinstance(value, bool):
        return value
    raise UserError(f"{where}: `{field}` is {value!r}; give true or false, or leave it out")
