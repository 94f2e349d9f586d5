"""Where a configuration comes from: a preset, a YAML file, `--set` values; and one sentence for what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from rewards_generated.errors import UserError, nearest
from rewards_generated.validation import mistake
from search.config.models import SearchConfig

PRESETS = Path(__file__).parent / "presets"

Model = TypeVar("Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as everywhere else, and not text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d[\d_]*(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def preset_names(presets: Path = PRESETS) -> list[str]:
    return sorted(file.stem for file in presets.glob("*.yaml"))


def load_config(
    preset: str | None = None,
    file: Path | None = None,
    assignments: Sequence[str] = (),
    values: dict[str, Any] | None = None,
) -> SearchConfig:
    """The `values`, overlaid by the preset, by the file, and by `a.b=value` assignments. Raises UserError."""
    if preset is None and file is None and values is None:
        raise UserError(f"say what to search with --preset ({', '.join(preset_names())}) or --config file.yaml")
    return parse_config(overlaid(preset, file, assignments, values or {}))


def overlaid(
    preset: str | None,
    file: Path | None,
    assignments: Sequence[str],
    values: dict[str, Any],
    presets: Path = PRESETS,
) -> dict[str, Any]:
    """The `values`, or those of a preset in the folder `presets`, overlaid by the file's and the assignments'.

    Raises UserError for a preset that is not known, a file that cannot be read and an assignment that is none.
    """
    if preset is not None:
        if preset not in preset_names(presets):
            raise UserError(f"--preset {preset!r} is not known: {nearest(preset, preset_names(presets))}")
        values = _read(presets / f"{preset}.yaml")
    if file is not None:
        values = _overlay(values, _read(file))
    for assignment in assignments:
        values = _overlay(values, _assignment(assignment))
    return values


def parse_config(values: dict[str, Any]) -> SearchConfig:
    """Raises UserError naming the field's path, its value, and the nearest valid name or what was expected."""
    return parse_as(SearchConfig, values)


def parse_as(model: type[Model], values: dict[str, Any]) -> Model:
    """The same for any configuration."""
    try:
        return model.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise UserError(mistake(error, model)) from None


def require_same(
    before: dict[str, Any], after: dict[str, Any], what: str, again: str, noun: str = "configuration"
) -> None:
    """Raises UserError naming the fields in which two dumped configurations differ.

    `what`: that which was started with the first, such as a folder; `again`: how to start anew, such as `a new search
    in another --run-dir`.
    """
    if changed := [field for field, _, _ in changed_fields(before, after)]:
        raise UserError(refusal(changed, what, again, noun))


def refusal(changed: Sequence[str], what: str, again: str, noun: str = "configuration") -> str:
    """The sentence for fields that may not change; the other arguments as in `require_same`."""
    fields = ", ".join(f"`{field}`" for field in changed)
    return f"{what} was started with another {noun}: {fields} changed; resume without them, or start {again}"


def changed_fields(before: dict[str, Any], after: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, old and new value of the fields that differ between two dumped configurations; what one of them does not
    have differs from null, and is given as None."""
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from changed_fields(old, new, f"{path}{key}.")
        elif old != new or (key in before) != (key in after):
            yield f"{path}{key}", old, new


def fields(model: type[BaseModel] = SearchConfig, path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field that holds a value, with its path, sections opened."""
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from fields(section, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


def _read(file: Path) -> dict[str, Any]:
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise UserError(f"the configuration file {file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"the configuration file {file} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"the configuration file {file} must hold fields such as `name: mine`, one per line")
    return values


def _assignment(text: str) -> dict[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise UserError(f"--set {text!r} must be written field=value, such as --set search.rounds=3")
    try:
        nested: Any = yaml.load(value, Loader=_Loader)
    except yaml.YAMLError:
        raise UserError(f"--set {text!r}: the value is not valid YAML; quote it") from None
    for part in reversed(path.strip().split(".")):
        nested = {part: nested}
    assert isinstance(nested, dict)
    return nested


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _overlay(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    # A task, proposer or executor of another name has other options: the old ones would be foreign to it.
    if "options" in below and "options" not in above and above.get("name", below.get("name")) != below.get("name"):
        merged["options"] = {}
    return merged
