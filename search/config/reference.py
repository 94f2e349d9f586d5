"""The fields of the configuration as text: path, value or default, and help."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.console import Console

from eval.tasks.registry import task_options
from rewards_generated.answers import AnswerFormat, format_name
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.config.source import fields, load_config
from search.proposers.registry import proposer_class


def print_fields(preset: str | None) -> None:
    """Of the whole configuration; raises UserError for an unknown preset."""
    chosen = load_config(preset) if preset is not None else None
    for path, field in fields(SearchConfig):
        _print(path, default_text(field) if chosen is None else repr(_value(chosen, path)), field)


def print_options(proposer: str) -> None:
    """Of one proposer. Raises UserError if it is unknown or declares none."""
    settings = getattr(proposer_class(proposer), "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        raise UserError(f"the proposer {proposer!r} declares no options")
    for path, field in fields(settings, "proposer.options."):
        _print(path, default_text(field), field)


def print_task_options(task: str) -> None:
    """Of one task. Raises UserError if it is unknown or declares none."""
    options = task_options(task)
    if options is None:
        raise UserError(f"the task {task!r} declares no options: give its builder a pydantic model as `Options`")
    for path, field in fields(options, "task.options."):
        _print(path, default_text(field), field)


def print_pipeline_fields() -> None:
    """Of a pipeline's description."""
    from trainer.pipeline.description import Pipeline

    for path, field in fields(Pipeline):
        _print(path, default_text(field), field)


def _print(path: str, value: str, field: FieldInfo) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{path} = {value}")
    if field.description:
        console.print(f"    {' '.join(field.description.split())}")


def default_text(field: FieldInfo) -> str:
    """As the listings show it."""
    if field.is_required():
        return "(required)"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, AnswerFormat):
        default = format_name(default)
    return repr(sorted(default)) if isinstance(default, frozenset) else repr(default)


def _value(config: BaseModel, path: str) -> Any:
    value: Any = config
    for part in path.split("."):
        value = getattr(value, part)
    return sorted(value) if isinstance(value, frozenset) else value
