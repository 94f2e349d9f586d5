"""The constraints of the extra `vllm` pin what the project demands, and resolve."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LEFT_OPEN = {"setuptools"}
"""The build of vLLM for CPUs, which the tests use, wants another version of it."""


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints-vllm.txt").read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_everything_that_the_project_demands_is_pinned_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = pins()
    for line in [*project["dependencies"], *project["optional-dependencies"]["vllm"]]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)]), line


@pytest.mark.resolver
def test_the_extra_resolves_to_the_constraints_and_nothing_beside_them(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv, which resolves without downloading, is not installed")
    resolve = [uv, "pip", "compile", "--quiet", "--python-version", "3.11.9"]
    resolve += ["--python-platform", "x86_64-manylinux_2_28", "--extra", "vllm", "--no-annotate", "--no-header"]
    resolve += ["--constraint", "constraints-vllm.txt", "pyproject.toml"]
    resolve += ["--output-file", str(tmp_path / "resolved.txt")]
    done = subprocess.run(resolve, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pinned = pins()
    lines = (tmp_path / "resolved.txt").read_text(encoding="utf-8").splitlines()
    found = dict(line.split(" ;")[0].strip().split("==") for line in lines)
    assert {name: version for name, version in found.items() if pinned.get(name) != version}.keys() <= LEFT_OPEN
    assert found["vllm"] == pinned["vllm"]
