"""Candidates out of whatever a model or a person answers: JSON, fenced code, bare code, or none of these.

Nothing of a reply is executed. Every item that does not become a candidate is kept with its reason.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import Literal

from rewards_generated.contract import SIGNATURE, ContractViolation, docstring, reward_function
from rewards_generated.identity import CodeUnreadable, parse
from search.proposers.base import UnusableItem
from search.proposers.fences import fenced_blocks
from search.proposers.json_reply import BrokenItem, json_items
from search.proposers.prompt import without_surrogates

LONGEST_CODE = 20_000
"""Characters; longer code is refused before it is parsed."""
EXCERPT = 400
_PYTHON = ("python", "python3", "py")
_THINKING = re.compile(r"\A\s*<(think|thinking|reasoning)>.*?</\1>", re.DOTALL)
_HEADER_FIELD = re.compile(
    r"^[^a-z0-9\n]*(name|family|description)[^a-z0-9\n]*?[:=](.*)$", re.IGNORECASE | re.MULTILINE
)
_HEADING = re.compile(r"^#{1,6}[ \t](.*)$", re.MULTILINE)
_DECORATION = "*_`\"', \t"
_COUNTER = re.compile(r"^(?:candidate|reward(?: function)?|variant)?\s*#?\d*\s*[.:)\-–—]*\s*", re.IGNORECASE)
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:can(?:'|no)?t|cannot|won't|will not)"
    r"|as an ai\b|unable to (?:help|assist))",
    re.IGNORECASE,
)
_CODE_START = re.compile(r"^(?:import |from |def |class |@|\"\"\"|'''|[A-Za-z_]\w* *(?::[^=\n]+)?= *\S)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ReplyItem:
    """One readable candidate: its code parses and defines `reward` with the right parameters."""

    name: str
    family: str
    description: str
    code: str


def parse_reply(reply: str, finish_reason: str = "") -> tuple[list[ReplyItem], list[UnusableItem]]:
    """The readable candidates of a reply in their order, and everything else in it that was meant to be one.

    `finish_reason` as the provider gives it; `length`, `content_filter` and `refusal` have a meaning here.
    """
    text = _THINKING.sub("", reply.replace("\r\n", "\n").replace("\r", "\n"), count=1).strip()
    found = _json_candidates(text) or _fenced_candidates(text) or _bare_candidate(text)
    items = [item for item in found if isinstance(item, ReplyItem)]
    unusable = [item for item in found if isinstance(item, UnusableItem)]
    if not found:
        unusable.append(_nothing_found(text, finish_reason))
    elif finish_reason == "length" and not any(item.reason == "truncated" for item in unusable):
        unusable.append(UnusableItem("truncated", "the reply ended at the limit of tokens", excerpt(text[-EXCERPT:])))
    elif finish_reason in ("content_filter", "refusal"):
        unusable.append(UnusableItem("refused", "the provider stopped the reply", excerpt(text[-EXCERPT:])))
    return items, unusable


def readable_name(text: str) -> str:
    """A name in lower case letters, digits and underscores, at most 48 characters; empty if nothing is left."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:48].strip("_")
    return f"reward_{name}"[:48] if name[:1].isdigit() else name


def code_problem(code: str) -> str | None:
    """Why the code cannot be a candidate, in words a proposer can act on; None if it reads well."""
    if len(code) > LONGEST_CODE:
        return f"the code has {len(code):,} characters, the limit is {LONGEST_CODE:,}"
    try:
        if reward_function(parse(code)).kind == "batch":
            return f"the function takes lists; write `{SIGNATURE}` for one completion"
    except (CodeUnreadable, ContractViolation) as error:
        return f"{error} (line {error.line})" if error.line else str(error)
    return None


def _json_candidates(text: str) -> list[ReplyItem | UnusableItem]:
    found: list[ReplyItem | UnusableItem] = []
    for item in json_items(text):
        if isinstance(item, BrokenItem):
            reason: Literal["malformed", "truncated"] = "truncated" if item.truncated else "malformed"
            found.append(UnusableItem(reason, item.problem, excerpt(item.text)))
        else:
            found.append(_candidate(item.get("code"), item))
    return found


def _fenced_candidates(text: str) -> list[ReplyItem | UnusableItem]:
    found: list[ReplyItem | UnusableItem] = []
    for block in fenced_blocks(text, acceptable=_is_whole):
        if block.language not in _PYTHON and (block.language or "def " not in block.code):
            continue
        if block.closed:
            found.append(_candidate(block.code, _header(block.before)))
        else:
            problem = "the code block is not closed, so the candidate may be cut off"
            found.append(UnusableItem("truncated", problem, excerpt(block.code)))
    return found


def _is_whole(language: str, code: str) -> bool:
    """Whether a block may end here: it is a candidate, or nothing like one."""
    return (language not in _PYTHON and "def " not in code) or code_problem(code) is None


def _bare_candidate(text: str) -> list[ReplyItem | UnusableItem]:
    """Code without any fence, perhaps with a sentence before and after it."""
    start = _CODE_START.search(text)
    if "def reward" not in text or "```" in text or start is None:
        return []
    lines = text[start.start() :].split("\n")
    for dropped in range(min(40, len(lines))):
        code = "\n".join(lines[: len(lines) - dropped])
        if code_problem(code) is None:
            return [_candidate(code, _header(text[: start.start()]))]
    return [_candidate("\n".join(lines), {})]


def _candidate(code: object, fields: dict[str, object]) -> ReplyItem | UnusableItem:
    if not isinstance(code, str) or not code.strip():
        return UnusableItem("malformed", "the field `code` is missing or empty", excerpt(str(fields)))
    code = _tidied(without_surrogates(code))
    problem = code_problem(code)
    if problem:
        return UnusableItem("malformed", problem, excerpt(code))
    about = docstring(parse(code))
    comments = _header("\n".join(line for line in code.split("\n")[:5] if line.startswith("#")))
    name = readable_name(_text(fields, "name") or _text(comments, "name")) or "candidate"
    description = " ".join((_text(fields, "description") or about).split())[:500]
    family = readable_name(_text(fields, "family") or _text(comments, "family"))
    if "reflect" in family or (not family and "reflect" in f"{name} {about}".lower()):
        family = "reflection"
    return ReplyItem(name, family, description, code)


def _tidied(code: str) -> str:
    """Undoes what models do to code inside JSON or Markdown: a fence of its own, indentation, doubled escapes."""
    blocks = list(fenced_blocks(code, acceptable=_is_whole))
    if len(blocks) == 1 and code.lstrip().startswith(("```", "~~~")):
        code = blocks[0].code
    code = textwrap.dedent(code).strip("\n") + "\n"
    if "\\n" in code and "\n" not in code.strip():
        unescaped = code.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
        if code_problem(unescaped) is None:
            return unescaped
    return code


def _header(text: str) -> dict[str, object]:
    """The fields of the lines before a code block; without a name, the last heading there serves."""
    fields: dict[str, object] = {
        match[1].lower(): match[2].strip(_DECORATION) for match in _HEADER_FIELD.finditer(text)
    }
    headings = _HEADING.findall(text)
    if headings and not fields.get("name"):
        fields["name"] = _COUNTER.sub("", headings[-1].strip(_DECORATION))
    return fields


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _nothing_found(text: str, finish_reason: str) -> UnusableItem:
    if finish_reason in ("content_filter", "refusal"):
        return UnusableItem("refused", "the provider or the model refused to answer", excerpt(text))
    if finish_reason == "length":
        return UnusableItem("truncated", "the reply ended at the limit of tokens before any candidate", excerpt(text))
    if not text:
        return UnusableItem("malformed", "the reply is empty", "")
    if _REFUSAL.search(text[:600]):
        return UnusableItem("refused", "the model refused to answer", excerpt(text))
    return UnusableItem(
        "malformed", "no candidate was found: neither a JSON object nor a Python code block", excerpt(text)
    )


def excerpt(text: str) -> str:
    """The beginning of the text, for people and for the next prompt."""
    text = without_surrogates(text).strip()
    return text if len(text) <= EXCERPT else text[:EXCERPT] + " …"
