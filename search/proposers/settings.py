"""Options of the proposers, checked: each field with its help, each mistake one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rewards_generated.errors import UserError, nearest

Settings = TypeVar("Settings", bound=BaseModel)


class ProposerSettings(BaseModel):
    """Base of all option models; the docstring under a field is its help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PromptSettings(ProposerSettings):
    """What goes into the prompt of a language model or of a person, and how often a reply may be mended."""

    questions: int = Field(default=20, ge=0)
    """Sampled questions with gold answers shown in the prompt."""
    right_rollouts: int = Field(default=3, ge=0)
    """Sampled right rollouts of the base policy shown in the prompt."""
    wrong_rollouts: int = Field(default=5, ge=0)
    """Sampled wrong rollouts of the base policy shown in the prompt."""
    rollout_characters: int = Field(default=1500, ge=100)
    """Longest excerpt of one rollout, in characters; the middle is left out."""
    table_rows: int = Field(default=40, ge=1)
    """Most rows of the table of earlier results; the best and the worst are kept."""
    best_sources: int = Field(default=3, ge=0)
    """How many of the best earlier candidates are shown with their source."""
    failure_sources: int = Field(default=4, ge=0)
    """How many instructive failures (rejected, crashed or at the end of the table) are shown with their source."""
    source_characters: int = Field(default=4000, ge=200)
    """Longest excerpt of one source, in characters."""
    max_follow_ups: int = Field(default=2, ge=0)
    """How often a round may ask again for candidates that are missing or unusable."""
    template: Path | None = None
    """A Jinja template of your own instead of the built-in prompt."""


def read_settings(proposer: str, model: type[Settings], options: Mapping[str, Any]) -> Settings:
    """The checked options. Raises UserError naming the option, its value and the nearest valid name."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
    location = ".".join(str(part) for part in first["loc"])
    where = f"proposer.options.{location}" if location else "proposer.options"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, first["loc"][:-1])
        raise UserError(f"{where}: proposer {proposer!r} has no such option; {nearest(str(first['loc'][-1]), known)}")
    if first["type"] == "missing":
        raise UserError(f"{where}: proposer {proposer!r} needs this option")
    raise UserError(f"{where} = {first['input']!r}: {message}")


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The field names of the model that stands at the location of a validation error."""
    fields = list(model.model_fields)
    for part in location:
        nested = list(_models_in(model.model_fields[part].annotation)) if part in fields else []
        if nested:
            model, fields = nested[0], list(nested[0].model_fields)
    return fields


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
