"""Options of a task, checked: a misspelt name or a bad value is one sentence, not a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rewards_generated.errors import UserError, nearest

Options = TypeVar("Options", bound=BaseModel)


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
