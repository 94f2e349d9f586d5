"""Ask and tell: a person, or an agent without an API, answers the prompt that a language model would get."""

from __future__ import annotations

from collections.abc import Iterator

from search.proposers.base import AwaitingAnswer, LanguageModelCall, ProposalBatch, ProposalRequest
from search.proposers.collection import Answers, Render, collect
from search.proposers.settings import PromptSettings

MODEL = "manual"
"""The model name of recorded answers, and the origin of their candidates."""


class ManualSettings(PromptSettings):
    """Options of `manual`."""


class ManualProposer:
    """Takes its answers from `request.recorded_calls` only; what is not answered yet is asked for."""

    name = "manual"
    Settings = ManualSettings

    def __init__(self, settings: ManualSettings | None = None) -> None:
        self.settings = settings or ManualSettings()

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        """Raises AwaitingAnswer, with the exact prompt, where the next answer is still missing."""
        answers = iter(request.recorded_calls)
        return collect(request, self.settings, lambda first, renders: _answered(renders[0], answers), patient=True)


def _answered(render: Render, answers: Iterator[LanguageModelCall]) -> Answers:
    for call in answers:
        if call.reply is not None:
            return Answers([call])
    raise AwaitingAnswer(render("fenced"))
