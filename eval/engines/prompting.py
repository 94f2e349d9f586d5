"""How a chat becomes the text that a policy goes on with, and where its completions end besides its end token.

Base models have no chat template. They get a plain one, which chats of tasks, fine-tuning and second turns go through
as through any other, and strings at which a completion is over, since nobody taught them to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from eval.tasks.base import Task, TaskReference
from rewards_generated.errors import UserError

NEXT_QUESTION = "\nQuestion:"
"""Where a base model begins to ask itself."""

_MESSAGES = (
    "{% for message in messages if message['role'] != 'system' %}"
    "{% if message['role'] == 'user' %}{{ 'Question: ' + message['content'] | trim + '\\n\\n' }}"
    "{% else %}{{ 'Answer: ' + message['content'] | trim + eos_token + '\\n\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Answer:' }}{% endif %}"
)
_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] | trim + '\\n\\n' }}{% endif %}"
PLAIN = _SYSTEM + _MESSAGES
"""`Question: ...` and `Answer: ...` in turn, the system message before them."""


class PromptFormat(BaseModel):
    """As a job is told it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    chat_template: str | None = None
    """Jinja, in the form of transformers' chat templates; None: the tokenizer's own."""
    stop_strings: tuple[str, ...] = ()
    """A completion ends with the first of them, which is no part of its text."""

    def cut(self, text: str) -> str:
        """The text before its first stop string."""
        places = [place for string in self.stop_strings if (place := text.find(string)) >= 0]
        return text[: min(places)] if places else text

    def ended(self, text: str) -> bool:
        """Whether a stop string is in the text."""
        return any(string in text for string in self.stop_strings)


class Prompting(BaseModel):
    """As a configuration says it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    template: str = "chat"
    """`chat`, the tokenizer's own chat template; for base models `plain` (Question: ... Answer: ...) or `few-shot` (the
    same after worked examples of the train split); or the path of a Jinja file in the form of a chat template."""
    shots: int = Field(default=4, ge=1)
    """Examples of `few-shot`: the first so many questions of the train split."""
    stop: tuple[str, ...] | None = None
    """Strings that end a completion beside the end token. Left out: the one at which a base model asks itself the next
    question, for `plain` and `few-shot` alone."""

    @property
    def file(self) -> Path | None:
        """Of the template."""
        return None if self.template in ("chat", "plain", "few-shot") else Path(self.template)

    def format(self, task: TaskReference) -> PromptFormat:
        """Raises UserError for a file that cannot be read or is no template, or a task without examples."""
        return _format(self.model_dump_json(), task.model_dump_json())


@cache
def _format(prompting: str, task: str) -> PromptFormat:
    from eval.tasks.registry import build_task

    chosen = Prompting.model_validate_json(prompting)
    usual = () if chosen.template == "chat" or chosen.file else (NEXT_QUESTION,)
    stops = usual if chosen.stop is None else chosen.stop
    if any(not string for string in stops):
        raise UserError(
            "`prompting.stop` holds an empty string, which would end every completion at once; leave it out"
        )
    template = {"chat": None, "plain": PLAIN}.get(chosen.template)
    if chosen.file is not None:
        template = _read(chosen.file)
    elif chosen.template == "few-shot":
        template = few_shot(_worked(build_task(TaskReference.model_validate_json(task)), chosen.shots))
    return PromptFormat(chat_template=template, stop_strings=stops)


def _worked(task: Task, shots: int) -> list[tuple[str, str]]:
    """Questions of the train split with completions in the task's format."""
    form = task.answer_format
    return [
        (example.question, form.completion(example.worked_solution or "", example.answer))
        for example in task.examples("train", shots)
    ]


def _read(path: Path) -> str:
    """Raises UserError."""
    from jinja2 import TemplateSyntaxError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        text = path.expanduser().read_text(encoding="utf-8")
        ImmutableSandboxedEnvironment().parse(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"`prompting.template` = {str(path)!r} cannot be read ({error}); choose chat, plain, few-shot, or a file"
        ) from None
    except TemplateSyntaxError as error:
        raise UserError(f"`prompting.template` = {str(path)!r} is no Jinja template: {error}") from None
    return text


def few_shot(examples: Sequence[tuple[str, str]]) -> str:
    """The plain template with questions and completions before the first message, none of them ended by an end token:
    a base model would go on from that as from the end of a document."""
    shown = "".join(f"Question: {question.strip()}\n\nAnswer: {answer.strip()}\n\n" for question, answer in examples)
    literal = shown.encode("unicode_escape").decode("ascii").replace("'", "\\'")
    return f"{_SYSTEM}{{{{ '{literal}' }}}}{_MESSAGES}"


def with_bos(template: str, tokenizer: object) -> str:
    """The template with the tokenizer's BOS token first, where the tokenizer begins texts with it and the template does
    not speak of it: a policy that was pretrained so expects it."""
    bos = getattr(tokenizer, "bos_token_id", None)
    begins = bos is not None and tokenizer("a")["input_ids"][:1] == [bos]  # type: ignore[operator]
    return "{{ bos_token }}" + template if begins and "bos_token" not in template else template
