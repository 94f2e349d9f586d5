"""The templates that hold a report's words, pages in HTML and sentences in plain text; and the style of the pages."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from eval.report import text

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment(package: str, folder: str = "", *, autoescape: bool = False, **options: Any) -> Environment:
    """Of the templates in a folder of a package. `autoescape` for HTML: whatever is put in is escaped, since names,
    sources and texts come from strangers."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader(package, folder),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    found.filters["visible"] = text.visible
    found.filters["prose"] = prose
    found.globals["text"] = text
    return found


def paragraphs(name: str, **facts: Any) -> list[str]:
    """What a text template says of the facts, each paragraph on one line; blank lines part them. Nothing is escaped:
    that is the part of whoever shows it."""
    said = environment("eval.report", "page").get_template(name).render(facts)
    return [" ".join(paragraph.split()) for paragraph in said.split("\n\n") if paragraph.strip()]


def prose(words: str) -> Markup:
    """Text with `code` marked as such."""
    parts = text.visible(words).split("`")
    if len(parts) % 2 == 0:
        return Markup("{}").format("`".join(parts))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else Markup("{}").format(part)
        for place, part in enumerate(parts)
    )


def style(name: str) -> Markup:
    """The style sheet of a page, after what all pages begin with."""
    return Markup(resource("palette.css") + resource(name))


@cache
def resource(name: str) -> str:
    return files("eval.report").joinpath(name).read_text(encoding="utf-8")
