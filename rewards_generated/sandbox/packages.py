"""Packages for mathematics that a worker imports before it is sealed, for code that asks for them."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

MATHEMATICS = frozenset({"math_verify", "latex2sympy2_extended"})
"""Packages that a worker loads where the code imports one of them."""
_NEEDED = ("math_verify", "latex2sympy2_extended", "sympy", "mpmath", "antlr4")
_PRELOAD = Path(__file__).with_name("mathematics.py")


def uses_mathematics(code: str) -> bool:
    """Whether the code imports one of the packages for mathematics."""
    if not any(package in code for package in MATHEMATICS):
        return False
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return any(name.partition(".")[0] in MATHEMATICS for name in names)


def preloaded_for(code: str) -> tuple[str, list[str]]:
    """The program that a worker runs before the seal for code that needs more than the standard library, and the
    folders that it imports from; empty for all other code."""
    if not uses_mathematics(code):
        return "", []
    specs = [importlib.util.find_spec(package) for package in _NEEDED]
    places = [spec.submodule_search_locations for spec in specs if spec is not None]
    folders = [str(Path(place).parent) for found in places for place in found or ()]
    return _PRELOAD.read_text(encoding="utf-8"), list(dict.fromkeys(folders))
