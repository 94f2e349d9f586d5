"""What a reward sees of one rollout, and what a probe knows about it beside that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """The arguments of a reward function.

    `prompt` is the text of the last user message, `completion` the text of the assistant's answer,
    `answer` the gold answer as text, and `worked_solution` that of the data set, for rewards that ask for it; None
    where the question has none.
    """

    prompt: str
    completion: str
    answer: str
    worked_solution: str | None = None

    @property
    def question(self) -> tuple[str, str, str | None]:
        """What the completions of a group share."""
        return self.prompt, self.answer, self.worked_solution


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
    worked_solution: str | None = None

    @property
    def sample(self) -> Sample:
        return Sample(self.prompt, self.completion, self.answer, self.worked_solution)
