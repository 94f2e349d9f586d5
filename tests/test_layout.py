"""The four packages: each imports only what stands before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("rewards_generated", "eval", "trainer", "search")


def imported(file: Path) -> Iterator[str]:
    """Top-level packages of every import, those inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_none_that_stands_behind_it(package: str) -> None:
    behind = {*PACKAGES[PACKAGES.index(package) + 1 :], "tests", "examples"}
    files = list((ROOT / package).rglob("*.py"))
    assert files
    assert [str(file) for file in files if behind & set(imported(file))] == []
