"""The few lines that make a reward of another host one of ours: its callable, called as that host calls it."""

from __future__ import annotations

import ast
from collections.abc import Container, Mapping

from rewards_generated.contract import ANSWER_COLUMNS, GROUP_PARAMETERS, PARAMETERS, WORKED_SOLUTION
from rewards_generated.hosts.forms import FoundReward, columns_asked_for

_FINISHED = '''

def result_of(coroutine):
    """What an asynchronous reward returns; it may wait for nothing outside of itself."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    raise RuntimeError("the reward waits for something outside of itself")
'''
_PARSER = '''

class AnswerParser:
    """Stands for the rubric's parser: the last <answer> block, else the last box, else the whole text."""

    def parse_answer(self, completion):
        text = completion if isinstance(completion, str) else completion[-1]["content"]
        if "</answer>" in text:
            return text.rpartition("</answer>")[0].rpartition("<answer>")[2].strip()
        opened = text.rfind("\\\\boxed{")
        if opened < 0:
            return text.strip()
        depth = 0
        for place in range(opened + 6, len(text)):
            depth += (text[place] == "{") - (text[place] == "}")
            if depth == 0:
                return text[opened + 7 : place].strip()
        return text.strip()

    def get_assistant_messages(self, completion):
        return [message for message in completion if message["role"] == "assistant"]

    def get_user_messages(self, completion):
        return [message for message in completion if message["role"] == "user"]


parser = AnswerParser()
'''
_TENSORS = '''
class torch:
    """Stands for the tensors that OpenRLHF wants back: a list is as good here."""

    float = float32 = None

    def tensor(values, dtype=None):
        return values


'''


def needs_wrapping(found: FoundReward, alone: bool) -> bool:
    """Whether a module with this reward has to be written anew. `alone`: it defines no other one."""
    plain = (found.form in ("sample", "group") and found.name == "reward") or found.form == "trl"
    if not (plain and alone and found.expression == found.name) or found.signature.is_async:
        return True
    return not isinstance(found.signature.node, ast.FunctionDef) or _may_give_none(found)


def _may_give_none(found: FoundReward) -> bool:
    """Whether a function of TRL's may leave a completion to the other rewards."""
    return found.form == "trl" and any(
        isinstance(node, ast.Constant) and node.value is None and not _is_default(found, node)
        for statement in getattr(found.signature.node, "body", [])
        for node in ast.walk(statement)
    )


def _is_default(found: FoundReward, constant: ast.Constant) -> bool:
    """A `None` that is only compared with, as in `match is not None`."""
    return any(
        constant in node.comparators
        for statement in getattr(found.signature.node, "body", [])
        for node in ast.walk(statement)
        if isinstance(node, ast.Compare)
    )


def wrapped(body: str, found: FoundReward, messages: bool) -> str:
    """The cut-out code with a `reward` at its end. `messages`: completions are passed as chat messages."""
    name = "given_reward"
    call = {
        "sample": _ours,
        "group": _ours,
        "trl": _trl,
        "verl": _verl,
        "openrlhf": _openrlhf,
        "verifiers": _verifiers,
    }[found.form](found, name, messages)
    extra = (_FINISHED if found.signature.is_async else "") + (_PARSER if _reads_parser(found) else "")
    if found.form == "openrlhf" and "\nimport torch\n" in f"\n{body}":
        body = _TENSORS.lstrip("\n") + f"\n{body}".replace("\nimport torch\n", "\n").lstrip("\n")
    return body.rstrip("\n") + f"\n\n\n{name} = {found.expression}\n" + extra + "\n\n" + call


def _reads_parser(found: FoundReward) -> bool:
    nodes = ast.walk(found.signature.node)
    return found.form == "verifiers" and any(isinstance(node, ast.Name) and node.id == "parser" for node in nodes)


def _called(found: FoundReward, name: str, arguments: str) -> str:
    call = f"{name}({arguments})"
    return f"result_of({call})" if found.signature.is_async else call


def _keywords(values: Mapping[str, str], taken: Container[str]) -> str:
    """The arguments that are taken, by name."""
    return ", ".join(f"{item}={value}" for item, value in values.items() if item in taken)


def _ours(found: FoundReward, name: str, messages: bool) -> str:
    given = ", ".join(GROUP_PARAMETERS if found.form == "group" else PARAMETERS)
    asked = WORKED_SOLUTION in found.signature.parameters
    named, passed = (f", {WORKED_SOLUTION}", f", {WORKED_SOLUTION}={WORKED_SOLUTION}") if asked else ("", "")
    return f"def reward({given}{named}):\n    return {_called(found, name, given + passed)}\n"


def _trl(found: FoundReward, name: str, messages: bool) -> str:
    """Called with all that it takes; None counts as nothing beside the other rewards, as in TRL's own sum."""
    names = {*found.signature.parameters, *columns_asked_for(found.signature)}
    columns = [item for item in ANSWER_COLUMNS if item in names]
    given = [f"{item}={item}" for item in ("prompts", "completions") if item in names]
    given += [f"{item}=answer" for item in columns]
    asked = WORKED_SOLUTION in names
    given += [f"{WORKED_SOLUTION}={WORKED_SOLUTION}"] if asked else []
    given += [f"{item}=None" for item in ("trainer_state",) if item in found.signature.required]
    given += [f"{item}=ignored" for item in ("log_extra", "log_metric") if item in names]
    ignored = "def ignored(*values):\n    return None\n\n\n" if any("ignored" in item for item in given) else ""
    call = _called(found, name, ", ".join(given))
    return (
        f"{ignored}def reward(prompts, completions, answer{f', {WORKED_SOLUTION}' if asked else ''}):\n"
        f"    return [0.0 if value is None else value for value in {call}]\n"
    )


def _verl(found: FoundReward, name: str, messages: bool) -> str:
    values = {
        "data_source": '"reward-search"',
        "solution_str": "completion",
        "ground_truth": "answer",
        "extra_info": '{"question": prompt, "prompt": prompt}',
    }
    call = _called(found, name, _keywords(values, found.signature.parameters))
    return (
        f"def reward(prompt, completion, answer):\n    result = {call}\n"
        '    return float(result["score"] if isinstance(result, dict) else result)\n'
    )


def _openrlhf(found: FoundReward, name: str, messages: bool) -> str:
    values = {"queries": "[prompt + completion]", "prompts": "[prompt]", "labels": "[answer]"}
    call = _called(found, name, _keywords(values, found.signature.parameters))
    return (
        f"def reward(prompt, completion, answer):\n    result = {call}\n"
        '    return float((result["rewards"] if isinstance(result, dict) else result)[0])\n'
    )


def _verifiers(found: FoundReward, name: str, messages: bool) -> str:
    chat = messages or _reads_parser(found)
    values = {
        "prompt": '[{"role": "user", "content": prompt}]' if chat else "prompt",
        "completion": '[{"role": "assistant", "content": completion}]' if chat else "completion",
        "answer": "answer",
        "parser": "parser",
        "info": "{}",
        "state": "{}",
        "task": '"default"',
    }
    names, open_ended = found.signature.parameters, found.signature.keywords is not None
    given = [item for item in values if item in names or (open_ended and item in ("prompt", "completion", "answer"))]
    call = _called(found, name, _keywords(values, given))
    return f"def reward(prompt, completion, answer):\n    return float({call})\n"
