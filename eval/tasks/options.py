"""Options of a task, checked: a misspelt name or a bad value is one sentence, not a traceback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rewards_generated.errors import UserError

Options = TypeVar("Options", bound=BaseModel)


def nearest(name: str, known: Iterable[str]) -> str:
    """A phrase for error messages: the known name most like `name`, or all of them where none is alike."""
    from difflib import get_close_matches

    names = sorted(known)
    if alike := get_close_matches(name, names, n=1, cutoff=0.5):
        return f"did you mean {alike[0]!r}?"
    return f"choose one of {', '.join(names)}" if names else "none is known"


def read_options(task: str, model: type[Options], options: Mapping[str, Any]) -> Options:
    """Raises UserError naming the option, its value and the fix."""
    for name in options:
        if name not in model.model_fields:
            raise UserError(f"task {task!r} has no option {name!r}: {nearest(name, model.model_fields)}")
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise UserError(f"task {task!r} needs the option {where!r}") from None
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"task {task!r}, option {where!r} = {first['input']!r}: {message}") from None
