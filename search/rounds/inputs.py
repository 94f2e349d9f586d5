"""What a search reads from the user's files: recorded at its start, and the same to its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from eval.tasks.base import TaskReference
from eval.tasks.files import file_digest, local_files
from rewards_generated.errors import UserError
from search.config.checks import base_model_fingerprint
from search.config.models import SearchConfig
from search.ledger import Ledger
from search.proposers.registry import PROPOSERS

INPUTS, BASE_MODEL, TEMPLATE = "inputs", "base_model", "template"
ENGINE_VERSION, WORKING_FOLDER = "engine_version", "working_folder"
"""Facts: SHA-256 by path of the files that prompts come from, what tells base policies apart, SHA-256 of the template
of the proposer's prompt (none: it has the built-in one), the version of the engine where it has one, and the folder
that relative paths start from."""


def input_facts(config: SearchConfig) -> dict[str, Any]:
    """Of a search that starts here and now. Raises UserError for a file that cannot be read."""
    files: dict[str, str] = {}
    for reference in (config.task, *(suite for suite in config.finals.ood if isinstance(suite, TaskReference))):
        there = [path for path in local_files(reference) if path.is_file()]  # of a suite, the test split alone may be
        files |= {str(path): _digest(path, f"the task {reference.name!r}") for path in there}
    if config.prompting.file is not None:
        files[str(config.prompting.file)] = _digest(config.prompting.file, "`prompting.template`")
    return {
        INPUTS: files,
        BASE_MODEL: base_model_fingerprint(config.base_model),
        TEMPLATE: template_digest(config),
        ENGINE_VERSION: config.engine.pinned().version,
        WORKING_FOLDER: str(Path.cwd()),
    }


def template_digest(config: SearchConfig) -> str | None:
    """Of the contents; None without a template. Raises UserError for one that cannot be read; what a proposer of the
    user's own calls so need not be a file."""
    template = config.proposer.options.get("template")
    if not isinstance(template, str) or (config.proposer.name not in PROPOSERS and not os.path.isfile(template)):
        return None
    return _digest(Path(template), "`proposer.options.template`")


def require_same_inputs(config: SearchConfig, ledger: Ledger, folder: Path) -> None:
    """Raises UserError if the questions, the base policy or the engine's version changed since the search in `folder`
    began: scores on others cannot be ranked together. Relative paths are those of the working folder."""
    for name, recorded in (ledger.fact(INPUTS) or {}).items():
        path = Path(name)
        if not path.is_file():
            raise UserError(
                f"{path.absolute()}, which the prompts of {folder} come from, is not there any more; put it back, or "
                "start a new search in another --run-dir"
            )
        if _digest(path, "the task") != recorded:
            raise UserError(
                f"{path.absolute()}, which the prompts of {folder} come from, changed since it was started; restore "
                "it, or start a new search in another --run-dir"
            )
    if base_model_fingerprint(config.base_model) != ledger.fact(BASE_MODEL):
        raise UserError(
            f"the files of `base_model` = {config.base_model!r} changed since {folder} was started; restore them, or "
            "start a new search in another --run-dir"
        )
    began, now = ledger.fact(ENGINE_VERSION), config.engine.pinned().version
    if now != began:
        raise UserError(
            f"{folder} was started with {began or 'an engine without a version'}, and {now or 'none'} is installed "
            "here: install that version, or start a new search in another --run-dir"
        )


def _digest(path: Path, whose: str) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise UserError(f"{whose}: the file {str(path)!r} cannot be read: {error.strerror}") from None
