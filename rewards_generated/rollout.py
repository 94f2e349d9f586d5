"""What a reward sees of one rollout, and what a probe knows about it beside that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """The three arguments of a reward function.

    `prompt` is the text of the last user message, `completion` the text of the assistant's answer, and
    `answer` the gold answer as text.
    """

    prompt: str
    completion: str
    answer: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """A sample with what the task's own checker says of it; probes are built from these.

    `answered`: an answer could be extracted in the strict format. `correct`: it equals the gold answer.
    `group`: rollouts of the same question share it (the question's id).
    """

    prompt: str
    completion: str
    answer: str
    correct: bool
    answered: bool
    group: str

    @property
    def sample(self) -> Sample:
        return Sample(self.prompt, self.completion, self.answer)
