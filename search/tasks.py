"""The task and the base policy of a search, checked before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from eval.tasks.base import Split, Task
from eval.tasks.registry import build_task
from rewards_generated.base import BASE_REWARDS
from rewards_generated.errors import UserError
from search.config import SearchConfig


def checked_task(config: SearchConfig) -> Task:
    """The task. Raises UserError if a split is empty, the base policy is missing, or settings contradict."""
    settings = config.search
    if settings.reflection_minimum > settings.candidates_per_round:
        raise UserError(
            f"`search.reflection_minimum` = {settings.reflection_minimum} is more than "
            f"`search.candidates_per_round` = {settings.candidates_per_round}; lower it"
        )
    for name in settings.base_rewards:
        if name not in BASE_REWARDS:
            raise UserError(f"`search.base_rewards` names {name!r}; choose from {', '.join(BASE_REWARDS)}")
    if not settings.base_rewards:
        raise UserError(f"`search.base_rewards` is empty; choose from {', '.join(BASE_REWARDS)}")
    if len(set(settings.base_rewards)) < len(settings.base_rewards):
        raise UserError(f"`search.base_rewards` names a reward twice: {', '.join(settings.base_rewards)}")
    task = build_task(config.task)
    for split in get_args(Split):
        if not task.examples(split, 1):
            raise UserError(f"the task {config.task.name!r} has an empty {split} split; a search needs all three")
    require_base_model(config.base_model)
    return task


def require_base_model(base_model: str) -> None:
    """Raises UserError unless the model is a folder with a config.json, or the hub (or its cache) has it."""
    from trainer.policy import base_model_source

    source = base_model_source(base_model)
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"`base_model` = {base_model!r}: the folder {folder} holds no model (no config.json)")
        return
    if source.startswith((".", "/", "~")):
        raise UserError(f"`base_model` = {base_model!r}: there is no folder {folder}")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    from requests.exceptions import RequestException

    try:
        hf_hub_download(source, "config.json")
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RequestException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"`base_model` = {base_model!r} is neither a folder nor a model that the hub or its cache has: {reason}"
        ) from None
