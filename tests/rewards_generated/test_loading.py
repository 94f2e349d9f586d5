"""What a configuration names is found, or the mistake is one sentence that names field, value and fix."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rewards_generated.errors import UserError
from rewards_generated.loading import construct, load_object

BUILT_IN = {"decimal": "decimal:Decimal"}


def load(name: str, **more: Any) -> Any:
    return load_object(name, BUILT_IN, "engine.name", "engine", **more)


def test_ones_own_is_found_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_engine.py").write_text("class Mine:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert load("my_engine:Mine").__name__ == "Mine"
    assert load("decimal").__name__ == "Decimal"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("decimel", r"engine.name = 'decimel' is not a known engine: did you mean 'decimal'\? \(an engine of your own"),
        ("zzz", "choose one of decimal"),
        ("json:", "write it as package.module:Class"),
        ("numpy:Nobody", "module 'numpy' has no class 'Nobody'"),
        ("numpy:zeros", "'zeros' is not a class"),
        ("numpy.nowhere:X", "there is no module 'numpy.nowhere' to import"),
        ("subprocess:Popen", "a module of Python's own"),
    ],
)
def test_mistakes_are_one_sentence(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(name)


def test_a_class_without_the_method_of_its_kind_is_refused_before_it_is_called() -> None:
    with pytest.raises(UserError, match=r"proposer.name = 'numpy:ndarray': the class has no method propose"):
        load_object("numpy:ndarray", {}, "proposer.name", "proposer", method="propose")


def test_options_are_checked_by_name() -> None:
    def build(needed: int, usual: int = 2) -> int:
        if needed < 0:
            raise TypeError("its own fault")
        return needed + usual

    assert construct(build, {"needed": 1}, "engine.options", "engine 'x'") == 3
    with pytest.raises(
        UserError, match=r"engine.options.usaul` is unknown: engine 'x' has no field 'usaul'; did you mean 'usual'"
    ):
        construct(build, {"needed": 1, "usaul": 2}, "engine.options", "engine 'x'")
    with pytest.raises(UserError, match=r"engine.options.needed` is missing from engine 'x'"):
        construct(build, {}, "engine.options", "engine 'x'")
    with pytest.raises(TypeError, match="its own fault"):
        construct(build, {"needed": -1}, "engine.options", "engine 'x'")
