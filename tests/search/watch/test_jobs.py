"""Running jobs as their folders show them."""

from __future__ import annotations

import json
from pathlib import Path

from search.watch.jobs import running_jobs
from search.watch.page import running_parts


def job(folder: Path, name: str, labels: list[str], log: str = "", steps: int | None = None, **more: object) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    members = [{"label": label, "grpo": {"steps": 30}} for label in labels]
    (place / "job.json").write_text(json.dumps({"label": name, "members": members, **more}), encoding="utf-8")
    (place / "log.txt").write_text(log, encoding="utf-8")
    if steps is not None:
        (place / "steps").write_text(str(steps), encoding="ascii")
    return place


def line(label: str, step: int, reward: str) -> str:
    start = f"{label}: " if label else ""
    return (
        f"2026-11-29 10:17:20,901 {start}step {step}/30  reward {reward}  accuracy 0.312  tokens 50.4  entropy 0.077\n"
    )


def test_curves_of_a_pack_are_told_apart_by_run(tmp_path: Path) -> None:
    log = "loading\n" + line("one, seed 1", 1, "2.5") + line("two, seed 1", 1, "none") + line("one, seed 1", 10, "3.5")
    job(tmp_path, "pack", ["one, seed 1", "two, seed 1"], log, steps=12, stop=None)
    [found] = running_jobs(tmp_path)
    assert (found.steps, found.of, found.runs) == (12, 30, ("one, seed 1", "two, seed 1"))
    assert [(entry["step"], entry["reward"]) for entry in found.curves["one, seed 1"]] == [(1.0, 2.5), (10.0, 3.5)]
    assert found.curves["two, seed 1"] == ({"step": 1.0, "accuracy": 0.312, "tokens": 50.4, "entropy": 0.077},)
    assert found.log[-1] == line("one, seed 1", 10, "3.5").rstrip()


def test_a_job_alone_has_lines_without_a_label(tmp_path: Path) -> None:
    job(tmp_path, "alone", ["one"], line("", 1, "1.0"), stop=20)
    [found] = running_jobs(tmp_path)
    assert found.of == 20
    assert len(found.curves["one"]) == 1


def test_what_is_over_or_half_written_is_no_running_job(tmp_path: Path) -> None:
    (job(tmp_path, "over", ["a"]) / "result.json").write_text("{}", encoding="utf-8")
    (job(tmp_path, "torn", ["a"]) / "job.json").write_text('{"label": ', encoding="utf-8")
    (tmp_path / "a file").write_text("", encoding="utf-8")
    job(tmp_path, "evaluation", [])
    assert [(found.label, found.of) for found in running_jobs(tmp_path)] == [("evaluation", None)]
    assert running_jobs(tmp_path / "nowhere") == []


def test_hostile_labels_and_logs_stay_text(tmp_path: Path, monkeypatch) -> None:
    hostile = "</pre><script>alert(1)</script>\u202e"
    job(tmp_path / "jobs", "x", [hostile], hostile, steps=3)
    monkeypatch.setattr("search.watch.page.is_driven", lambda folder: True)
    html = running_parts(tmp_path)["jobs"]
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 3  # the run's key and label, and the log
    assert "\u202e" not in html
    assert '<progress max="30" value="3"' in html
