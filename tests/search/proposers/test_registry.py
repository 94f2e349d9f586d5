from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rewards_generated.errors import UserError
from search.proposers.registry import PROPOSERS, build_proposer, prepare, proposer_class

OWN = """
from pydantic import BaseModel
from search.proposers.base import Proposal, ProposalBatch

class Plain:
    name = "plain"
    def __init__(self, size=1):
        self.size = size
    def propose(self, request):
        return ProposalBatch(())

class Checked(Plain):
    class Settings(BaseModel):
        size: int = 1
    def __init__(self, settings):
        self.size = settings.size

class Nothing:
    pass
"""


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("evolv", {}, "proposer.name = 'evolv' is not a known proposer: did you mean 'evolve'"),
        (
            "evolve",
            {"libary_share": 0.5},
            "`proposer.options.libary_share` is unknown: .* did you mean 'library_share'",
        ),
        ("evolve", {"library_share": 1.5}, "`proposer.options.library_share` = 1.5: .*less than or equal to 1"),
        ("evolve", {"rank_decay": "much"}, "`proposer.options.rank_decay` = 'much': .*valid number"),
        ("litellm", {}, "`proposer.options.models` is missing from proposer 'litellm'"),
        ("litellm", {"models": []}, "`proposer.options.models` = .*at least 1 item"),
        (
            "litellm",
            {"models": [{"model": "a/b", "wieght": 2}]},
            "models.0.wieght` is unknown: .* did you mean 'weight'",
        ),
        ("litellm", {"models": "a/b", "api_base": "localhost:80"}, "`proposer.options.api_base` = 'localhost:80'"),
        ("manual", {"question": 3}, "did you mean 'questions'"),
        ("no_such_module_at_all:Class", {}, "no module 'no_such_module_at_all'"),
        ("search.proposers.manual:Manuel", {}, "has no class 'Manuel'"),
        ("search.proposers.manual:MODEL", {}, "is not a class"),
    ],
)
def test_a_mistake_is_one_sentence_naming_field_and_fix(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        build_proposer(name, options)
    assert "\n" not in str(caught.value)


def test_every_option_of_every_proposer_has_a_one_line_help() -> None:
    for name in PROPOSERS:
        for field, information in proposer_class(name).Settings.model_fields.items():
            assert information.description, f"{name}.{field}"
            assert "\n" not in information.description, f"{name}.{field}"


def test_every_option_is_frozen() -> None:
    proposer = build_proposer("evolve", {})
    with pytest.raises(ValueError, match="frozen"):
        proposer.settings.library_share = 0.5  # type: ignore[attr-defined]


def test_models_may_be_written_short() -> None:
    long = build_proposer("litellm", {"models": [{"model": "openai/a", "weight": 1.0}]})
    for short in ("openai/a", ["openai/a"], {"model": "openai/a"}):
        assert build_proposer("litellm", {"models": short}).settings == long.settings  # type: ignore[attr-defined]


def test_a_proposer_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_proposers.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert build_proposer("own_proposers:Plain", {"size": 3}).size == 3  # type: ignore[attr-defined]
    assert build_proposer("own_proposers:Checked", {"size": "4"}).size == 4  # type: ignore[attr-defined]
    prepare(build_proposer("own_proposers:Plain", {}))
    with pytest.raises(UserError, match=r"`proposer.options.length` is unknown: .* has no field 'length'"):
        build_proposer("own_proposers:Plain", {"length": 3})
    with pytest.raises(UserError, match=r"`proposer\.options\.size` = 'x'"):
        build_proposer("own_proposers:Checked", {"size": "x"})
    with pytest.raises(UserError, match="no method propose"):
        build_proposer("own_proposers:Nothing", {})


def test_building_a_proposer_imports_nothing_heavy() -> None:
    program = (
        "import sys; from search.proposers.registry import build_proposer\n"
        "for name in ('evolve', 'manual'): build_proposer(name, {})\n"
        "build_proposer('litellm', {'models': 'openai/x'})\n"
        "print([name for name in ('litellm', 'openai', 'libcst', 'jinja2', 'torch') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
