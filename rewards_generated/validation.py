"""What a user wrote, read into a pydantic model; the first mistake in it is one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rewards_generated.errors import UserError, nearest

Model = TypeVar("Model", bound=BaseModel)


def read_options(model: type[Model], options: Mapping[str, Any], section: str, owner: str) -> Model:
    """The checked options. `section`: where they stand, such as `task.options`; `owner`: whose they are, such as
    `task 'gsm8k'`. Raises UserError, see `mistake`."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        raise UserError(mistake(error, model, section, owner)) from None


def mistake(error: ValidationError, model: type[BaseModel], section: str = "", owner: str = "the configuration") -> str:
    """A sentence with the field's path, its value, and the nearest name or what is allowed.

    Of several mistakes the first, unknown names before missing ones (a misspelt field is both). `section`: the path
    at which the model stands; `owner`: what has its fields, in words.
    """
    first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    parents = [section] if section else []
    path = ".".join([*parents, *map(str, first["loc"])])
    if first["type"] == "extra_forbidden":
        *above, name = first["loc"]
        where = f"section `{'.'.join([*parents, *map(str, above)])}`" if above else owner
        return f"`{path}` is unknown: {where} has no field {name!r}; {nearest(str(name), _fields(model, above))}"
    if first["type"] == "missing":
        return f"`{path}` is missing from {owner}"
    expected = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    place = f"`{path}` = {first['input']!r}" if first["loc"] else f"`{path}`" if path else owner
    return f"{place}: {expected[0].lower()}{expected[1:]}"


def _fields(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The field names of the model that stands at the location of a validation error; none where there is none."""
    models: list[type[BaseModel]] = [model]
    for part in location:
        if isinstance(part, str):
            models = [found for one in models if part in one.model_fields for found in _inside(one, part)]
    return [name for one in models for name in one.model_fields]


def _inside(model: type[BaseModel], field: str) -> list[type[BaseModel]]:
    return list(models_in(model.model_fields[field].annotation))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Those that a field of this type can hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from models_in(argument)
