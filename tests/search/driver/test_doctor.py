"""What `doctor` finds on a machine, and that it reads out no secret."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from rewards_generated.sandbox.strength import measure_strength
from search.cli import main
from search.config.source import load_config
from search.driver import doctor
from search.driver.doctor import Finding, findings


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def found(what: str) -> Finding:
    return next(item for item in findings() if item.what == what)


def test_doctor_prints_the_machine_and_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    strength = measure_strength()
    expected = 0 if strength.level in ("strict", "standard") else 1
    assert main(["doctor", "--json"]) == expected
    printed = json.loads(capsys.readouterr().out)
    assert printed["sandbox"]["level"] == strength.level
    assert {item["what"] for item in printed["machine"]} >= {"Python", "packages", "GPU", "vllm", "keys", "disk", "hub"}
    assert main(["doctor"]) == expected
    out = capsys.readouterr().out
    assert f"Sandbox level: {strength.level}" in out
    assert max(map(len, out.split("Sandbox level")[0].splitlines())) <= 140


def test_keys_are_named_and_never_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-precious")
    monkeypatch.setenv("HF_TOKEN", " ")
    main(["doctor"])
    out = capsys.readouterr().out
    assert "OPENAI_API_KEY" in out
    assert "HF_TOKEN" not in out
    assert "precious" not in out


def test_a_package_that_does_not_fit_is_a_gap(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert found("packages").state == "ok"
    real = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: "0.9.0" if name == "trl" else real(name))
    gap = found("packages")
    assert gap.state == "gap"
    assert gap.found.startswith("trl 0.9.0 is not ")
    assert "constraints.txt" in gap.advice
    assert main(["doctor"]) == 1
    assert "trl 0.9.0" in capsys.readouterr().out


def test_a_full_disk_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 2**30))
    assert found("disk").state == "gap"


def test_a_driver_without_a_gpu_for_torch_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert found("GPU").state == "gap"
    assert "CUDA build" in found("GPU").advice


def test_a_hub_out_of_reach_names_what_works_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("hub").state == "unused"
    assert "127.0.0.1 cannot be reached" in found("hub").found
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in found("hub").found


def test_with_a_configuration_its_policy_and_search_are_checked(tmp_path: Path) -> None:
    states = {item.what: item for item in findings(load_config("testbed-quick"))}
    assert states["base policy"].state == states["search"].state == "ok"
    missing = load_config("testbed-quick", None, [f"base_model={tmp_path / 'nothing'}"])
    states = {item.what: item for item in findings(missing)}
    assert states["base policy"].state == "gap"
    assert "nothing" in states["base policy"].advice
    wrong = load_config("testbed-quick", None, ["proposer.name=litelm"])
    states = {item.what: item for item in findings(wrong)}
    assert "did you mean" in states["search"].advice
