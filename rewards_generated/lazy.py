"""Names that a package offers, imported only when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of the package: `names` by the module that defines each, and `__version__`."""

    def find(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("reward-search")
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(names[name]), name)

    return find, lambda: sorted((*names, "__version__"))
