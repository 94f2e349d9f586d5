"""Scores the completions of both layers, each with curves of its own, and says what the second layer works on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from eval.second_turn import second_prompt, second_question
from eval.tasks.base import Task
from rewards_generated.contract import WORKED_SOLUTION
from rewards_generated.scorer import EnsembleScorer
from trainer.determinism import derived_seed
from trainer.grpo.rewards import RolloutScoring
from trainer.jobs.train import RewardStatistics, SampleCompletion, TrainingRun
from trainer.multilayer.algorithm import Multilayer
from trainer.multilayer.selection import Response, select


class LayeredScoring:
    """Stands where a `RolloutScoring` stands in ordinary GRPO, with the same interface.

    The second layer's rewards see its own prompt: the question, the response that is shown, and the phrase.
    """

    def __init__(self, run: TrainingRun, settings: Multilayer, scorer: EnsembleScorer, task: Task) -> None:
        grpo, self._settings = run.grpo, settings
        self._seed = run.seed
        self._generations = grpo.generations
        self._layers = {
            layer: RolloutScoring(
                scorer, task, generations=size, steps=grpo.steps, failure_rate_limit=run.failure_rate_limit
            )
            for layer, size in ((1, grpo.generations), (2, self._settings.group_size(grpo.generations)))
        }
        self._responses: list[Response] = []

    def reward(
        self,
        *,
        completions: Sequence[Sequence[dict[str, str]]],
        trainer_state: Any,
        layer: Sequence[int] = (1,),
        **columns: Any,
    ) -> list[float | None]:
        """TRL's reward function for rows of one layer; those of the second are the `rows` of the step."""
        scoring = self._layers[layer[0]]
        totals = scoring.reward(completions=completions, trainer_state=trainer_state, **columns)
        right = scoring.correct
        if layer[0] == 1:
            asked = (columns[name] for name in ("prompts", "question", "answer", WORKED_SOLUTION))
            self._responses = [
                Response(tuple(prompt), question, completion[0]["content"], answer, correct, total, worked)
                for prompt, question, answer, worked, completion, correct, total in zip(
                    *asked, completions, right, totals, strict=True
                )
            ]
            return totals
        self._record_transitions(trainer_state.global_step + 1, columns, right)
        if self._settings.reward_confirming:
            return totals
        return [
            0.0 if total is not None and earlier and now else total
            for total, earlier, now in zip(totals, columns["earlier_correct"], right, strict=True)
        ]

    def rows(self, step: int) -> list[dict[str, Any]]:
        """The second layer's batch of a step, one row per completion to come, a group's rows side by side."""
        groups = [
            self._responses[start : start + self._generations]
            for start in range(0, len(self._responses), self._generations)
        ]
        per_question = self._settings.places(self._generations)
        places = select(groups, self._settings, per_question, derived_seed(self._seed, "second layer", step))
        phrase = self._settings.phrase
        return [
            {
                "prompt": list(second_prompt(place.response.prompt, place.shown, phrase)),
                "question": second_question(place.response.question, place.shown, phrase),
                "answer": place.response.answer,
                WORKED_SOLUTION: place.response.worked_solution,
                "layer": 2,
                "earlier_correct": place.response.correct,
                "qualified": place.qualified,
            }
            for place in places
            for _ in range(self._settings.corrections)
        ]

    def note(self, step: int, figures: dict[str, float]) -> None:
        """Adds figures of a step's second layer to its curve."""
        self._layers[2].curve[step].update(figures)

    @property
    def curve(self) -> dict[int, dict[str, Any]]:
        """Per step the figures of the first layer, and those of the second under `layer2` where it was trained.

        A step that trains the second layer alone has the first layer's figures of the step before, whose responses it
        works on.
        """
        first, second = (self._layers[layer].curve for layer in (1, 2))
        found = {}
        for step in sorted(first.keys() | second.keys()):
            entry = {**(first.get(step) or first[step - 1]), "step": step}
            entry["layers"] = [layer for layer, curve in ((1, first), (2, second)) if step in curve]
            if step in second:
                entry["layer2"] = {name: value for name, value in second[step].items() if name != "step"}
            found[step] = entry
        return found

    @property
    def samples(self) -> list[SampleCompletion]:
        """Of both layers, in the order of the steps; those of the second have second prompts."""
        return sorted((sample for layer in (1, 2) for sample in self._layers[layer].samples), key=lambda s: s.step)

    @property
    def seconds(self) -> float:
        return sum(scoring.seconds for scoring in self._layers.values())

    def statistics(self) -> tuple[RewardStatistics, ...]:
        """Per member, over every completion of both layers so far."""
        first, second = (self._layers[layer].statistics() for layer in (1, 2))
        by_name = {item.name: item for item in second}
        return tuple(_pooled(item, by_name[item.name]) if item.name in by_name else item for item in first)

    def state(self) -> dict[str, Any]:
        """All that was kept so far, as plain JSON values, for `restore`."""
        return {
            "layers": {str(layer): scoring.state() for layer, scoring in self._layers.items()},
            "responses": [asdict(response) for response in self._responses],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a `state`."""
        for layer, scoring in self._layers.items():
            scoring.restore(state["layers"][str(layer)])
        self._responses = [Response(**response) for response in state["responses"]]

    def _record_transitions(self, step: int, columns: dict[str, Any], right: Sequence[bool]) -> None:
        """Over the step's completions of the second layer: what became of the answers that went on."""
        pairs = list(zip(columns["earlier_correct"], right, strict=True))
        self.note(
            step,
            {
                "completions": len(pairs),
                "earlier_accuracy": sum(earlier for earlier, _ in pairs) / len(pairs),
                "corrected": sum(now and not earlier for earlier, now in pairs) / len(pairs),
                "regressed": sum(earlier and not now for earlier, now in pairs) / len(pairs),
                "qualified": float(columns["qualified"][0]),
            },
        )


def _pooled(first: RewardStatistics, second: RewardStatistics) -> RewardStatistics:
    weights = [(item.calls - item.failures, item) for item in (first, second)]
    scored = sum(weight for weight, _ in weights)
    if not scored:
        return first.model_copy(
            update={"calls": first.calls + second.calls, "failures": first.failures + second.failures}
        )

    def mean(value: Any) -> float:
        return math.fsum(weight * value(item) for weight, item in weights if weight) / scored

    average = mean(lambda item: item.mean)
    return RewardStatistics(
        name=first.name,
        calls=first.calls + second.calls,
        failures=first.failures + second.failures,
        firing_rate=mean(lambda item: item.firing_rate),
        mean=average,
        std=math.sqrt(max(0.0, mean(lambda item: item.std**2 + item.mean**2) - average**2)),
    )
