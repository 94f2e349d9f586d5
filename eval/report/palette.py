"""Colours and typefaces that all pages share."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def palette() -> str:
    """The style sheet that every page begins with: light, dark and print."""
    return files("eval.report").joinpath("palette.css").read_text(encoding="utf-8")
