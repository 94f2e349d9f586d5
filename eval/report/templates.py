"""The templates that hold a report's words: pages in HTML, and sentences in plain text."""

from __future__ import annotations

from functools import cache
from typing import Any

from eval.report import text


@cache
def environment(package: str, folder: str = "", *, html: bool = False) -> Any:
    """Of the templates in a folder of a package. `html`: whatever is put in is escaped, since names, sources and texts
    come from strangers."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader(package, folder),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["visible"] = text.visible
    found.globals["text"] = text
    return found


def paragraphs(name: str, *, package: str = "eval.report", folder: str = "page", **facts: Any) -> list[str]:
    """What a text template says of the facts, each paragraph on one line; blank lines part them. Nothing is escaped:
    that is the part of whoever shows it."""
    said: str = environment(package, folder).get_template(name).render(facts)
    return [" ".join(paragraph.split()) for paragraph in said.split("\n\n") if paragraph.strip()]
