"""What a worker runs before the seal for code that imports math-verify: the imports, those too that sympy makes late,
and a few formulas, so that parsers and caches are warm.

Executed as text by `boot.py`, which calls `load`; trusted, and run before any reward's code.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys

LATE = (
    "assumptions",
    "calculus",
    "concrete",
    "functions",
    "integrals",
    "logic",
    "matrices",
    "ntheory",
    "polys",
    "series",
    "sets",
    "simplify",
    "solvers",
    "tensor",
)
"""Packages of sympy whose modules it imports inside functions."""
FORMULAS = (
    r"$\frac{1}{2}$",
    r"$x^2+1$",
    r"$(1,2]\cup[3,\infty)$",
    r"$\sqrt{2}$",
    r"$y=2x+1$",
    r"$x<5$",
    r"$\{1,2\}$",
    r"$\begin{pmatrix}1\\2\end{pmatrix}$",
    r"$\int_0^1 x dx$",
    r"$\binom{5}{2}$",
    r"$\log_2 8$",
    r"$\sin(\pi/6)$",
    "3/4",
)


def load(paths: list[str]) -> None:
    """Import everything from the given folders beside the standard library's. Raises ImportError."""
    sys.path.extend(paths)
    sys.setrecursionlimit(5000)
    logging.disable(logging.CRITICAL)
    import math_verify

    for package in LATE:
        folder = importlib.import_module(f"sympy.{package}")
        for module in pkgutil.walk_packages(folder.__path__, f"sympy.{package}."):
            if ".tests" not in module.name and ".benchmarks" not in module.name:
                importlib.import_module(module.name)
    targets = [math_verify.LatexExtractionConfig(boxed_match_priority=0), math_verify.ExprExtractionConfig()]
    read = [math_verify.parse(text, extraction_config=targets, parsing_timeout=None) for text in FORMULAS]
    for formula in read:
        math_verify.verify(formula, formula, timeout_seconds=None)
        math_verify.verify(formula, read[1], timeout_seconds=None)
