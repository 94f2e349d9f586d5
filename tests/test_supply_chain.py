"""What comes along with an installation: licences that a user may build on, and no release known to be bad."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
BAD = {"litellm": ("1.82.7", "1.82.8")}
"""Malicious releases."""
PERMISSIVE = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python|MPL|Mozilla Public License 2|Zlib|Unlicense|CNRI|HPND|0BSD|Public Domain", re.I
)
COPYLEFT = re.compile(r"\b[AL]?GPL|General Public|Affero|SSPL|Commons Clause|Business Source", re.I)


def installed_along() -> dict[str, Distribution]:
    """The distributions that `pip install reward-search` brings here, without extras."""
    found: dict[str, Distribution] = {}
    waiting = ["reward-search"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found[name] = distribution(name)
        wanted = map(Requirement, found[name].requires or [])
        waiting += [item.name for item in wanted if item.marker is None or item.marker.evaluate({"extra": ""})]
    del found["reward-search"]
    return found


def licence(found: Distribution) -> str:
    said = found.metadata
    classifiers = [line for line in said.get_all("Classifier", []) if line.startswith("License ::")]
    return "; ".join([said.get("License-Expression", ""), *classifiers]).strip("; ") or said.get("License", "")[:60]


def test_everything_installed_along_has_a_permissive_licence() -> None:
    along = installed_along()
    assert len(along) > 50
    words = {name: licence(found) for name, found in along.items()}
    assert {name: said for name, said in words.items() if not PERMISSIVE.search(said) or COPYLEFT.search(said)} == {}


@pytest.mark.parametrize("name", sorted(BAD))
def test_releases_known_to_be_bad_are_refused(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = (line for line in map(Requirement, project["dependencies"]) if line.name == name)
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for release in BAD[name]:
        assert not wanted.specifier.contains(release)
        assert f"{name}=={release}" not in pins
