"""The arms of the study: how their policies are trained, and how each is read."""

from __future__ import annotations

from typing import NamedTuple

from search.config.models import SearchConfig
from search.study.base import ArmKind
from search.study.multilayer.records import How
from trainer.algorithms import algorithm_of
from trainer.jobs.settings import AlgorithmSettings
from trainer.multilayer.algorithm import Multilayer

MULTILAYER, GRPO, LONGER, RANDOM = "multilayer", "grpo", "grpo-longer", "random-response"
ARMS: dict[str, ArmKind] = {MULTILAYER: "main", GRPO: "other", LONGER: "other", RANDOM: "control"}
VOTING = (GRPO, LONGER)
"""Arms whose answers are also put to a vote of two."""

READINGS = {"first": "one pass", "second": "two passes", "vote": "vote of two"}
"""How answers are read, in words."""


class Reading(NamedTuple):
    """What counts as a policy's answer."""

    arm: str
    how: How

    @property
    def name(self) -> str:
        """Of the arm alone, where its second answers count."""
        if self.arm in (MULTILAYER, RANDOM) and self.how == "second":
            return self.arm
        return f"{self.arm}, {READINGS[self.how]}"


SECOND_ANSWER = Reading(MULTILAYER, "second")


def rivals(arm: str) -> tuple[Reading, ...]:
    """How ordinary GRPO is read against the second answers of two layers."""
    return (Reading(arm, "first"), Reading(arm, "second"), Reading(arm, "vote"))


def arm_config(config: SearchConfig, arm: str, seed: int) -> SearchConfig:
    """The study's configuration, which is that of the arm `multilayer`, as the arm changes it."""
    screening = config.screening
    if arm == RANDOM:
        options = {**screening.algorithm.options, "control": "random_response"}
        algorithm = screening.algorithm.model_copy(update={"options": options})
        screening = screening.model_copy(update={"algorithm": algorithm})
    elif arm in VOTING:
        screening = screening.model_copy(
            update={
                "algorithm": AlgorithmSettings(),
                "second_turn_phrase": layers_of(config).phrase,
                "evaluation_turns": 2,
                "grpo": screening.grpo.model_copy(update={"steps": steps_of(config, arm)}),
            }
        )
    return config.model_copy(update={"seed": seed, "screening": screening})


def layers_of(config: SearchConfig) -> Multilayer:
    """The options of the second layer."""
    algorithm = algorithm_of(config.screening.algorithm)
    assert isinstance(algorithm, Multilayer)
    return algorithm


def steps_of(config: SearchConfig, arm: str) -> int:
    """Optimizer steps of the arm's runs."""
    grpo = config.screening.grpo
    return layers_of(config).steps_of_as_many_completions(grpo) if arm == LONGER else grpo.steps


def completions_of(config: SearchConfig, arm: str) -> int:
    """Completions that a run of the arm samples in training."""
    return arm_config(config, arm, config.seed).screening.completions(steps_of(config, arm))
