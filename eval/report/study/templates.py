"""Where the templates of studies' reports are read from."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def resource(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def environment(package: str, *, autoescape: bool, **options: Any) -> Environment:
    """Of the templates in the package's folder. `autoescape` for HTML; text has none."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(lambda name: resource(package, name)),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
