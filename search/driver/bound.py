"""The least time that a search's training and evaluation can take on a machine, by the roofline of its parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from eval.engines.policy import device_name
from rewards_generated.errors import UserError, nearest
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY
from search.config.plan import plan
from search.config.seeds import screening_seeds
from search.jobs.descriptions import screening_run
from trainer.grpo.memory import ModelShape
from trainer.jobs.settings import Hardware
from trainer.jobs.train import TrainingRun
from trainer.probe import HERE, probe
from trainer.roofline import MACHINES, Machine, Part, evaluation_parts, seconds, step_parts

CHARACTERS_PER_TOKEN = 4
"""Of English text, roughly."""


@dataclass(frozen=True, slots=True)
class Bound:
    """`step`, `evaluation`: of one pack of `members` runs. `search`: seconds of all training and evaluation, in packs
    of so many, one after the other."""

    machine: Machine
    members: int
    prompt_tokens: int
    step: list[Part]
    evaluation: list[Part]
    search: float


def machine_named(name: str, hardware: Hardware) -> Machine:
    """`here`: this one, measured now with the threads and the precision of `hardware`.

    Raises UserError for one that is not listed.
    """
    if name == HERE:
        return probe(hardware)
    if name not in MACHINES:
        raise UserError(f"--machine = {name!r} is not listed: {nearest(name, (HERE, *MACHINES))}")
    return MACHINES[name]


def bound(config: SearchConfig, machine: Machine, members: int, prompt_tokens: int | None = None) -> Bound:
    """`prompt_tokens`: of a usual prompt; None: from the length of the task's train questions.

    Raises UserError if the base policy's shape cannot be read, or the task cannot be built where that is needed.
    """
    prompt_tokens, shape = usual_prompt(config, prompt_tokens), policy_shape(config)
    run = usual_run(config, machine)
    step = step_parts(run, shape, members, prompt_tokens)
    evaluation = evaluation_parts(run, shape, members, prompt_tokens, config.selection_questions)
    whole = plan(config)
    one_question = seconds(evaluation, machine) / members / config.selection_questions
    work = whole.steps / members * seconds(step, machine) + whole.evaluated_questions * one_question
    return Bound(machine, members, prompt_tokens, step, evaluation, work)


def usual_run(config: SearchConfig, machine: Machine) -> TrainingRun:
    """A screening; on this machine, on the device that it would have here."""
    run = screening_run(config, BASE_ONLY, None, screening_seeds(config.seed, 1)[0])
    if machine.name != HERE:
        return run
    hardware = run.hardware.model_copy(update={"device": device_name(run.hardware.device)})
    return run.model_copy(update={"hardware": hardware})


def usual_prompt(config: SearchConfig, tokens: int | None) -> int:
    """Tokens: those given, or from the length of the task's train questions."""
    if tokens is not None:
        return tokens
    from eval.tasks.registry import build_task

    examples = build_task(config.task).examples("train", 200)
    characters = sum(len(turn["content"]) for example in examples for turn in example.prompt)
    return max(1, characters // len(examples) // CHARACTERS_PER_TOKEN)


def policy_shape(config: SearchConfig) -> ModelShape:
    """Raises UserError if it cannot be read."""
    from transformers import AutoConfig

    from trainer.policy import base_model_source

    try:
        return ModelShape.of(AutoConfig.from_pretrained(base_model_source(config.base_model)))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"base_model = {config.base_model!r}: its shape cannot be read ({reason})") from None


def bound_lines(found: Bound) -> list[str]:
    """As a table: of each part gigabytes, billions of operations, and milliseconds at the least."""
    rows = [("part", "GB", "GFLOP", "ms", "bound by")]
    for part in (*found.step, *found.evaluation):
        moving = part.bytes / found.machine.bandwidth
        computing = part.operations / found.machine.rate
        rows.append(
            (
                part.name,
                f"{part.bytes / 1e9:,.2f}",
                f"{part.operations / 1e9:,.0f}",
                f"{1000 * part.seconds(found.machine):,.1f}",
                "memory" if moving >= computing else "arithmetic",
            )
        )
    sizes = [max(len(row[column]) for row in rows) for column in range(5)]
    forms = [f"{{:<{sizes[0]}}}", *(f"{{:>{size}}}" for size in sizes[1:4]), "{}"]
    lines = ["  ".join(form.format(cell) for form, cell in zip(forms, row, strict=True)) for row in rows]
    hours, machine = found.search / 3600, found.machine
    how = f"{hours:.2f} h" if hours >= 0.1 else f"{math.ceil(found.search)} s"
    measured = [
        f"this machine, measured now: {machine.bandwidth / 1e9:.1f} GB/s, {machine.rate / 1e9:,.0f} GFLOP/s, "
        f"{1e6 * machine.launch:.1f} microseconds to start an operation"
    ]
    return [
        *(measured if machine.name == HERE else []),
        f"a step of a pack of {found.members} on {found.machine.name}, and its evaluation; prompts of "
        f"{found.prompt_tokens} tokens, completions at their limit",
        *lines,
        f"all training and evaluation of the search: {how} at the least; no engine reaches the bound, and the language "
        "model, the gate and the starts of jobs come on top",
    ]
