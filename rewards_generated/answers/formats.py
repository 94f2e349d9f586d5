"""Where a completion is asked to put its reasoning and its answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """Tags of the reasoning and of the answer; without tags the answer stands in `\\boxed{}`."""

    reasoning_tag: str | None
    answer_tag: str | None

    @property
    def instruction(self) -> str:
        """The system prompt that asks for this format."""
        if self.answer_tag is None:
            return "Solve the problem step by step. Put your final answer in \\boxed{}."
        return (
            "Solve the problem. First write out your reasoning between "
            f"<{self.reasoning_tag}> and </{self.reasoning_tag}>. "
            f"Then write the final answer alone between <{self.answer_tag}> and </{self.answer_tag}>."
        )

    @property
    def words(self) -> str:
        """The format in half a sentence, for a task's description."""
        if self.answer_tag is None:
            return "the answer in \\boxed{}"
        return (
            f"<{self.reasoning_tag}>...</{self.reasoning_tag}> and then <{self.answer_tag}>answer</{self.answer_tag}>"
        )


ANSWER_FORMATS = {
    "solution": AnswerFormat("thinking", "solution"),
    "answer": AnswerFormat("think", "answer"),
    "boxed": AnswerFormat(None, None),
}
"""`solution`: of the reward search (arXiv 2605.02073); `answer`: of the reflection reward (arXiv 2603.14041)."""
