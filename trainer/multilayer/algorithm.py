"""Multi-layer GRPO (arXiv 2506.04746): its options, and how it differs from GRPO.

With `select: best` the second layer is that of iGRPO (arXiv 2602.09000), which improves on the best of several drafts;
there the drafts only serve to be chosen from, while here they train the first layer as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from eval.second_turn import SECOND_TURN
from eval.tasks.base import Task
from rewards_generated.errors import UserError
from trainer.algorithms import Algorithm, Scoring, StepSize
from trainer.jobs.settings import GrpoSettings

if TYPE_CHECKING:
    from rewards_generated.scorer import EnsembleScorer
    from trainer.grpo.pack_trainer import PackTrainer
    from trainer.jobs.train import TrainingRun


class Multilayer(Algorithm):
    """The first layer is ordinary GRPO, as the settings of GRPO describe it; this describes the second.

    The layer's batch of a step has `prompts_per_step` places of `responses` x `corrections` completions, whatever
    qualifies.
    """

    name: ClassVar[str] = "multilayer"

    corrections: int = Field(default=2, ge=0)
    """Corrections sampled per response that goes on (H); 0 switches the second layer off, and the run is GRPO."""
    responses: int | None = Field(default=None, ge=1)
    """Responses per question that go on to the second layer; empty: as many as a group has, of the best only one. Of
    those that qualify each is taken once before any is taken again. A question without any leaves its place to another;
    if no question has any, the second layer learns nothing in that step."""
    select: Literal["all", "wrong", "mixed", "best"] = "all"
    """Which responses qualify: all, wrong ones, wrong and right ones in equal parts where a question has both, or the
    best: those to which the rewards of the run give most."""
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

    @property
    def second_turn(self) -> str:
        return self.phrase

    def places(self, generations: int) -> int:
        """Responses per question that go on, of groups of so many."""
        return self.responses or (1 if self.select == "best" else generations)

    def group_size(self, generations: int) -> int:
        """Completions in a group of the second layer."""
        return self.corrections if self.group == "question+response" else self.corrections * self.places(generations)

    def second_layer(self, grpo: GrpoSettings) -> int:
        """Completions of the second layer in a step that trains it."""
        return grpo.prompts_per_step * self.places(grpo.generations) * self.corrections

    def check(self, grpo: GrpoSettings) -> None:
        """Raises UserError for settings that do not fit to the steps of the first layer."""
        if self.corrections == 0:
            return
        parts = grpo.completions // (grpo.completions_per_forward or grpo.completions)
        if self.group_size(grpo.generations) < 2:
            raise UserError(
                "algorithm.options.corrections = 1 makes groups of one completion, which have no advantage; use 2 or "
                "more, 0 to switch the second layer off, or algorithm.options.group = 'question' with responses >= 2"
            )
        if self.select == "best" and self.places(grpo.generations) >= grpo.generations:
            raise UserError(
                f"algorithm.options.select = 'best' chooses among the {grpo.generations} responses to a question "
                f"(grpo.generations), and algorithm.options.responses = {self.responses} takes them all; use fewer, or "
                "select = 'all'"
            )
        if self.second_layer(grpo) % parts:
            raise UserError(
                f"the {self.second_layer(grpo)} completions of the second layer (prompts_per_step x "
                f"responses x corrections) cannot be split into the {parts} equal micro-batches that "
                "grpo.completions_per_forward makes of the first; change one of these"
            )
        if self.control == "random_response" and grpo.prompts_per_step < 2:
            raise UserError(
                "algorithm.options.control = 'random_response' needs responses to other questions of a step; "
                "use grpo.prompts_per_step >= 2"
            )

    def require_one_prompt(self, who: str) -> None:
        if self.corrections and self.group == "question":
            raise UserError(
                f"{who} all completions of one prompt, and algorithm.options.group = 'question' puts corrections of "
                "different responses, which have different prompts, into one group; use 'question+response'"
            )

    def trains(self, step: int) -> tuple[int, ...]:
        """Layers that a step, counted from 1, trains."""
        if self.corrections == 0:
            return (1,)
        if self.updates == "joint":
            return (1, 2)
        return (1,) if step % 2 else (2,)

    def prompt_batches(self, steps: int) -> list[int]:
        """In alternating updates two steps share a batch."""
        shared = self.corrections > 0 and self.updates == "alternating"
        return [step // 2 if shared else step for step in range(steps)]

    def completions(self, grpo: GrpoSettings, steps: int) -> int:
        """Both layers together."""
        layers = [layer for step in range(1, steps + 1) for layer in self.trains(step)]
        return layers.count(1) * grpo.completions + layers.count(2) * self.second_layer(grpo)

    def steps_of_as_many_completions(self, grpo: GrpoSettings) -> int:
        """Steps of ordinary GRPO that sample as many completions, rounded up."""
        return math.ceil(self.completions(grpo, grpo.steps) / grpo.completions)

    def step_size(self, grpo: GrpoSettings) -> StepSize:
        first, second = grpo.completions, self.second_layer(grpo)
        return StepSize(
            decoded=max(first, second),
            trained=max(first, second) if self.updates == "alternating" else first + second,
            turns=2,
        )

    def scoring(self, run: TrainingRun, scorer: EnsembleScorer, task: Task) -> Scoring:
        if self.corrections == 0:
            return super().scoring(run, scorer, task)
        from trainer.multilayer.scoring import LayeredScoring

        return LayeredScoring(run, self, scorer, task)

    def trainer(self, scorings: Sequence[Scoring]) -> tuple[type[PackTrainer], dict[str, Any]]:
        if self.corrections == 0:
            return super().trainer(scorings)
        from trainer.multilayer.trl_trainer import MultilayerTrainer

        return MultilayerTrainer, {"scorings": scorings, "settings": self}

    def description(self, grpo: GrpoSettings) -> dict[str, str]:
        return {
            "second layer": f"{self.corrections} corrections of {self.places(grpo.generations)} responses per question "
            f"({self.select}), groups by {self.group}, updates {self.updates}"
        }

    @property
    def note_for_rewards(self) -> str:
        if not self.corrections:
            return ""
        shown = {
            "wrong": "one of its own wrong answers",
            "best": "the best of its own answers, by what the rewards together give,",
        }.get(self.select, "one of its own answers")
        return (
            f"The policy is trained in two layers, and rewards score both. In the second it is shown {shown} "
            "and corrects or confirms it: `prompt` is then the question, a line that starts with `Earlier: ` "
            f"and holds that answer, and the line `{self.phrase}`; `completion` is the second answer."
        )
