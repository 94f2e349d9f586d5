"""What a task needs of an environment, in whichever form of `verifiers` it is written."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from eval.tasks.base import Message
from rewards_generated.errors import UserError

Part = Literal["train", "test"]
_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Row:
    """One question. `facts`: all that a verdict on it may depend on beside the completion; `record`: the environment's
    own object."""

    prompt: tuple[Message, ...]
    answer: str
    facts: Mapping[str, Any]
    record: Any


class Environment(Protocol):
    def rows(self, part: Part, limit: int) -> list[Row] | None:
        """The first rows; None where the environment has no such part."""
        ...

    def parse(self, completion: str) -> str | None:
        """The answer that the environment's parser reads; the whole completion where it has none."""
        ...

    def verdict(self, row: Row, completion: str) -> float:
        """What the function named as correctness gives. Raises UserError if it cannot be called or gives no number."""
        ...

    @property
    def system_prompt(self) -> str: ...


def called(function: Callable[..., Any], offered: Mapping[str, Any], where: str) -> float:
    """The number that the function gives for those arguments that it takes; `where` begins a sentence of UserError."""
    parameters = inspect.signature(function).parameters.values()
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    needed = {one.name for one in parameters if one.default is one.empty and one.kind not in _REST}
    if missing := sorted(needed - offered.keys()):
        raise UserError(
            f"{where} needs {missing[0]!r}, which a completion alone does not give; name a function of "
            f"{', '.join(sorted(offered))}"
        )
    names = {one.name for one in parameters}
    try:
        value = function(**{name: item for name, item in offered.items() if takes_all or name in names})
        if inspect.isawaitable(value):
            value = asyncio.run(_awaited(value))
    except Exception as error:
        raise UserError(f"{where} raised {type(error).__name__}: {str(error)[:200]}") from error
    if isinstance(value, bool | int | float):
        return float(value)
    raise UserError(f"{where} gave {type(value).__name__}, not a number")


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def named(functions: Mapping[str, Callable[..., Any]], name: str, where: str) -> Callable[..., Any]:
    """Raises UserError listing the functions that there are."""
    if name not in functions:
        raise UserError(
            f"`task.options.correctness` = {name!r}: {where} has no such function, only "
            f"{', '.join(sorted(functions)) or 'none'}"
        )
    return functions[name]


def messages(prompt: Any, where: str) -> tuple[Message, ...]:
    """A prompt as chat messages of plain text. Raises UserError for anything else."""
    if isinstance(prompt, str):
        return ({"role": "user", "content": prompt},)
    found: list[Message] = []
    for item in prompt or ():
        role, content = (
            item[name] if isinstance(item, Mapping) else getattr(item, name) for name in ("role", "content")
        )
        if not isinstance(content, str) or role not in ("system", "user", "assistant"):
            raise UserError(f"{where} has a prompt with more than text, which a policy here cannot be asked")
        found.append({"role": role, "content": content})
    if not found or found[-1]["role"] != "user":
        raise UserError(f"{where} has a prompt that does not end with the user's question")
    return tuple(found)
