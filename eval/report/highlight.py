"""Python source as coloured HTML."""

from __future__ import annotations

from markupsafe import Markup

from eval.report.text import visible


def highlight_python(code: str) -> Markup:
    """Spans with Pygments' short class names, everything escaped; the style sheet colours the few that matter."""
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

    # Pygments escapes everything that it puts between its spans.
    return Markup(highlight(visible(code).rstrip() + "\n", PythonLexer(), HtmlFormatter(nowrap=True)))
