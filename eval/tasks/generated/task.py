"""A task of generated questions: deterministic by seed, with splits that share no question."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

from pydantic import Field

from eval.tasks.base import Example, Split, TaskReference
from eval.tasks.questions import PromptOptions, RuledTask
from eval.tasks.testbed.draws import Draws
from rewards_generated.answers import AnswerKind, AnswerRules
from rewards_generated.errors import UserError

BUCKETS: dict[Split, range] = {"train": range(0, 60), "validation": range(60, 75), "test": range(75, 100)}
"""Which percentiles of the hash of a question's content belong to which split."""
FRUITLESS_DRAWS = 20_000
"""So many in a row without a new question: there are no more."""
_SIZES = frozenset({"train", "validation", "test", "answer_format", "system_prompt"})
"""Options that decide no question's content."""


class GeneratedOptions(PromptOptions):
    train: int = Field(6000, ge=1)
    """Questions in the train split."""
    validation: int = Field(1000, ge=1)
    """Questions in the validation split."""
    test: int = Field(2000, ge=1)
    """Questions in the test split."""
    seed: int = 0
    """Another number draws other questions; each belongs to the same split under every seed."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One question. `content`: what it is about, whatever its wording; decides the split."""

    content: str
    question: str
    answer: str
    attributes: dict[str, Any] = field(default_factory=dict)
    worked_solution: str | None = None


class GeneratedTask(RuledTask):
    """`draw` makes a question of draws, or None where they lead nowhere; it is asked for as many as are needed."""

    def __init__(
        self,
        reference: TaskReference,
        options: GeneratedOptions,
        draw: Callable[[Draws], Drawn | None],
        description: str,
        answer_kind: AnswerKind,
    ) -> None:
        self.reference = reference
        self.rules = AnswerRules(options.answer_format, answer_kind)
        self.description = f"{description} Expected form of a completion: {options.answer_format.words}."
        self._options = options
        self._draw = draw
        self._known: dict[Split, list[Example]] = {}
        self._streams: dict[Split, Iterator[Example]] = {}

    def examples(self, split: Split, limit: int | None = None) -> Sequence[Example]:
        if limit is not None and limit < 1:
            raise UserError(f"limit = {limit} of the {split} split: ask for at least 1 example")
        size: int = getattr(self._options, split)
        if split not in self._known:
            self._known[split], self._streams[split] = [], self._stream(split)
        known = self._known[split]
        known.extend(islice(self._streams[split], max(0, min(limit or size, size) - len(known))))
        return known[:limit]

    def _stream(self, split: Split) -> Iterator[Example]:
        difficulty = json.dumps(self._options.model_dump(mode="json", exclude=set(_SIZES)), sort_keys=True)
        seen: set[str] = set()
        fruitless = 0
        for index in count():
            drawn = self._draw(Draws(f"{self.reference.name}/{split}/{difficulty}/{index}"))
            digest = hashlib.sha256(drawn.content.encode()).hexdigest() if drawn is not None else ""
            if drawn is None or digest in seen or int(digest[:8], 16) % 100 not in BUCKETS[split]:
                fruitless += 1
                if fruitless == FRUITLESS_DRAWS:
                    raise UserError(
                        f"task {self.reference.name!r}, option {split!r} = {getattr(self._options, split)}: there seem "
                        f"to be only {len(seen):,} such questions; ask for fewer, or allow larger or more numbers"
                    )
                continue
            fruitless = 0
            seen.add(digest)
            yield Example(
                id=f"{self.reference.name}-{digest[:16]}",
                prompt=self._options.prompt(drawn.question),
                answer=drawn.answer,
                attributes=drawn.attributes,
                worked_solution=drawn.worked_solution,
            )
