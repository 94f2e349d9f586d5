"""What jobs are told of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.config.source import load_config
from search.jobs.descriptions import base_rollouts_job, evaluation_job, screening_run, split_of
from search.rounds.inputs import INPUTS, input_facts


def test_every_job_of_a_search_prompts_its_policy_alike() -> None:
    config = load_config("testbed-quick", None, ["prompting={template: few-shot, shots: 2}"])
    expected = config.prompting.format(config.task)
    assert expected.chat_template is not None
    run = screening_run(config, "x", None, 1)
    evaluation = evaluation_job(config, split_of(config, "validation"), "untrained")
    assert run.prompt_format == base_rollouts_job(config).prompt_format == evaluation.prompt_format == expected
    plain = load_config("testbed-quick", None, ["prompting.template=plain"])
    assert screening_run(plain, "x", None, 1).digest != run.digest


def test_the_file_of_a_template_is_among_what_a_search_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.jinja").write_text("{{ messages[-1]['content'] }}")
    config = load_config("testbed-quick", None, ["prompting.template=mine.jinja"])
    assert list(input_facts(config)[INPUTS]) == ["mine.jinja"]
