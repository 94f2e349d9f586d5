"""The task and the base policy of a search, checked before anything is written."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import get_args

from eval.hub import quiet_hub
from eval.tasks.base import Split, Task, TaskReference
from eval.tasks.registry import build_task
from rewards_generated.answers import AnswerRules
from rewards_generated.base import BASE_REWARDS
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.config.suites import suites_of
from trainer.algorithms import algorithm_of
from trainer.grpo.arguments import require_packages

MIB = 2**20


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
    if "completion" not in settings.contracts and config.proposer.name == "evolve":
        raise UserError(
            "`search.contracts` = [group], and the proposer `evolve` writes rewards of one completion alone; add "
            "completion, or choose another proposer"
        )
    if not settings.base_rewards:
        raise UserError(f"`search.base_rewards` is empty; choose from {', '.join(BASE_REWARDS)}")
    if len(set(settings.base_rewards)) < len(settings.base_rewards):
        raise UserError(f"`search.base_rewards` names a reward twice: {', '.join(settings.base_rewards)}")
    task = build_task(config.task)
    for split in get_args(Split):
        if not task.examples(split, 1):
            raise UserError(f"the task {config.task.name!r} has an empty {split} split; a search needs all three")
    for suite in suites_of(config):
        for reference in (suite.task, *([suite.matched] if suite.matched else [])):
            build_task(reference).examples("test", 1)
    base_model_fingerprint(config.base_model)
    config.prompting.format(config.task)
    require_packages(config.screening.grpo, config.hardware)
    if config.engine.name == "vllm" and config.hardware.quantization != "none":
        raise UserError(
            f"`hardware.quantization` = {config.hardware.quantization!r} goes with engine.name = transformers alone: "
            "vllm would sample from the weights as they were; set one or the other"
        )
    check_transfer(config)
    check_strata(config, task)
    return task


def check_transfer(config: SearchConfig) -> None:
    """Raises UserError for settings of `finals.transfer` that change nothing, stand there twice, do not fit the
    algorithm, or name a policy that there is not."""
    screening, seen = config.screening, set()
    if config.finals.transfer and not config.finals.base_only:
        raise UserError(
            "`finals.transfer` compares the winner with the base rewards alone; set finals.base_only to true"
        )
    for setting in config.finals.transfer:
        grpo, base = setting.of(screening.grpo), setting.base_model or config.base_model
        if (grpo, base) == (screening.grpo, config.base_model):
            what = setting.name or "nothing"
            raise UserError(
                f"`finals.transfer` names {what}, which is how the search trains; name another loss or base_model"
            )
        if (grpo, base) in seen:
            raise UserError(f"`finals.transfer` names {setting.name} twice; name it once")
        seen.add((grpo, base))
        algorithm_of(screening.algorithm).check(grpo)
        base_model_fingerprint(base, "finals.transfer")


def check_strata(config: SearchConfig, task: Task) -> None:
    """Raises UserError where questions cannot be drawn from strata: of the test split, which stays sealed until it is
    asked as it is, or of a split that has no more than are to be drawn."""
    screening = config.screening
    if screening.question_strata is None:
        return
    field = f"`screening.question_strata` = {screening.question_strata}"
    if config.search.select_on == "test":
        raise UserError(
            f"{field} draws questions of the validation split, and `search.select_on` is 'test'; leave one of them out"
        )
    if (found := len(task.examples("validation", config.question_pool))) <= screening.questions:
        raise UserError(
            f"{field} draws `screening.questions` = {screening.questions} from more questions, but the validation "
            f"split of the task {config.task.name!r} has {found:,}; ask fewer, or give the task a larger one"
        )


FEW_QUESTIONS = 100
"""Below it the luck of questions alone is 10 points of accuracy to either side."""


def wanted_questions(config: SearchConfig) -> dict[Split, int]:
    """By split that decides, how many questions are to be asked."""
    return {config.search.select_on: config.selection_questions, "test": config.finals.test_questions}


def found_questions(config: SearchConfig, task: Task) -> dict[Split, int]:
    """The same, as far as the task has them."""
    return {split: len(task.examples(split, count)) for split, count in wanted_questions(config).items()}


def question_warnings(config: SearchConfig, task: Task) -> list[str]:
    """Of the splits that decide, what has to be said of those that have fewer questions than are to be asked, or few
    at all."""
    wanted, said = wanted_questions(config), []
    pool = config.screening.strata_pool
    if pool is not None and (found := len(task.examples("validation", pool))) < pool:
        said.append(f"the validation split has {found:,} questions where `screening.strata_pool` names {pool:,}")
    for split, found in found_questions(config, task).items():
        count = wanted[split]
        if found < count:
            said.append(
                f"the {split} split of the task {config.task.name!r} has {found:,} "
                f"{'question' if found == 1 else 'questions'} where {count:,} were to be asked: {found:,} are used"
            )
        if found < FEW_QUESTIONS:
            half = 98 / found**0.5
            said.append(
                f"with {found} {split} questions an accuracy near one half is known to ±{half:.0f} points, before any "
                "luck of training; more questions show smaller differences"
            )
    return said


def answers_of(config: SearchConfig) -> AnswerRules:
    """Format and kind of the task's answers: what an ensemble keeps of the task."""
    return _answers_of(config.task.model_dump_json())


@cache
def _answers_of(reference: str) -> AnswerRules:
    task = build_task(TaskReference.model_validate_json(reference))
    return AnswerRules(task.answer_format, getattr(task, "answer_kind", "number"))


def task_notes(task: Task) -> list[str]:
    """What the task has to say of the splits read so far, a sentence each; a task need not have any `notes()`."""
    return list(getattr(task, "notes", list)())


def base_model_fingerprint(base_model: str, field: str = "base_model") -> str:
    """What tells one base policy from another: SHA-256 over its files' names, sizes and contents, of files above
    64 MiB the first and last MiB alone; for a hub id the revision. Raises UserError, which names the configuration's
    `field`, if there is no such model.
    """
    from trainer.policy import base_model_source

    source = base_model_source(base_model)
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"`{field}` = {base_model!r}: the folder {folder} holds no model (no config.json)")
        digest = hashlib.sha256()
        for file in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
            digest.update(f"{file.name} {file.stat().st_size}\n".encode())
            digest.update(_content(file))
        return digest.hexdigest()
    if source.startswith((".", "/", "~")):
        raise UserError(f"`{field}` = {base_model!r}: there is no folder {folder}")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    from requests.exceptions import RequestException

    try:
        with quiet_hub():
            config = hf_hub_download(source, "config.json")
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RequestException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"`{field}` = {base_model!r} is neither a folder nor a model that the hub or its cache has: {reason}"
        ) from None
    return Path(config).parent.name


def _content(file: Path) -> bytes:
    with file.open("rb") as opened:
        if file.stat().st_size <= 64 * MIB:
            return opened.read()
        first = opened.read(MIB)
        opened.seek(-MIB, 2)
        return first + opened.read()
