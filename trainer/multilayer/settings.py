"""The options of multi-layer GRPO."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.second_turn import SECOND_TURN
from rewards_generated.errors import UserError


class MultilayerSettings(BaseModel):
    """The second layer of a run. The first is ordinary GRPO, as the settings of GRPO describe it.

    The layer's batch of a step has `prompts_per_step` places of `responses` x `corrections` completions, whatever
    qualifies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    corrections: int = Field(default=2, ge=0)
    """Corrections sampled per response that goes on (H); 0 switches the second layer off, and the run is GRPO."""
    responses: int | None = Field(default=None, ge=1)
    """Responses per question that go on to the second layer; empty: as many as a group has. Of those that qualify each
    is taken once before any is taken again. A question without any leaves its place to another; if no question has
    any, the second layer learns nothing in that step."""
    select: Literal["all", "wrong", "mixed"] = "all"
    """Which responses qualify: all, wrong ones, or wrong and right ones in equal parts where a question has both."""
    group: Literal["question+response", "question"] = "question+response"
    """What the completions of a group of the second layer share: the question and the response that is corrected, or
    the question alone."""
    updates: Literal["joint", "alternating"] = "joint"
    """Joint: every step trains both layers. Alternating: steps train the first and the second in turn, the second on
    responses that the first has sampled in the step before."""
    reward_confirming: bool = True
    """Whether a second answer that confirms a right first one earns its rewards; if not, it earns 0, and the second
    layer learns to change."""
    phrase: str = Field(default=SECOND_TURN, min_length=1)
    """What the second prompt ends with, in training and in evaluation."""
    control: Literal["none", "random_response"] = "none"
    """random_response: the second prompt shows a response to another question of the step, drawn at random; a control
    that shows whether the response matters."""

    def places(self, generations: int) -> int:
        """Responses per question that go on, of groups of so many."""
        return self.responses or generations

    def group_size(self, generations: int) -> int:
        """Completions in a group of the second layer."""
        return self.corrections if self.group == "question+response" else self.corrections * self.places(generations)

    def completions(self, prompts: int, generations: int) -> int:
        """Of the second layer in a step that trains it."""
        return prompts * self.places(generations) * self.corrections

    def check(self, prompts: int, generations: int, parts: int) -> None:
        """Raises UserError for settings that do not fit to a step of so many prompts and micro-batches."""
        if self.corrections == 0:
            return
        if self.group_size(generations) < 2:
            raise UserError(
                "multilayer.corrections = 1 makes groups of one completion, which have no advantage; "
                "use 2 or more, 0 to switch the second layer off, or multilayer.group = 'question' with responses >= 2"
            )
        if self.completions(prompts, generations) % parts:
            raise UserError(
                f"the {self.completions(prompts, generations)} completions of the second layer (prompts_per_step x "
                f"responses x corrections) cannot be split into the {parts} equal micro-batches that "
                "grpo.completions_per_forward makes of the first; change one of these"
            )
        if self.control == "random_response" and prompts < 2:
            raise UserError(
                "multilayer.control = 'random_response' needs responses to other questions of a step; "
                "use grpo.prompts_per_step >= 2"
            )

    def trains(self, step: int) -> tuple[int, ...]:
        """Layers that a step, counted from 1, trains."""
        if self.corrections == 0:
            return (1,)
        if self.updates == "joint":
            return (1, 2)
        return (1,) if step % 2 else (2,)

    def prompt_batches(self, steps: int) -> list[int]:
        """Per step, which batch of prompts it works on: in alternating updates two steps share one."""
        shared = self.corrections > 0 and self.updates == "alternating"
        return [step // 2 if shared else step for step in range(steps)]

    def completions_of_run(self, steps: int, prompts: int, generations: int) -> int:
        """Sampled in training, both layers together."""
        layers = [layer for step in range(1, steps + 1) for layer in self.trains(step)]
        first = prompts * generations
        return layers.count(1) * first + layers.count(2) * self.completions(prompts, generations)

    def steps_of_as_many_completions(self, steps: int, prompts: int, generations: int) -> int:
        """Steps of ordinary GRPO that sample as many completions, rounded up."""
        return math.ceil(self.completions_of_run(steps, prompts, generations) / (prompts * generations))
