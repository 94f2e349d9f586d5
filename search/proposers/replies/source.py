"""The source of one candidate, freed from what models put around it. Code that reads well is left as it is."""

from __future__ import annotations

import ast
import html
import re
import textwrap
from collections.abc import Callable

from rewards_generated.contract import FUNCTION_NAME, SIGNATURE, ContractViolation, reward_function
from rewards_generated.identity import CodeUnreadable, parse

LONGEST_CODE = 20_000
"""Characters; longer code is refused before it is parsed."""
CODE_LINE = re.compile(
    r"^(?:import |from |def |async def |class |@|#|[rR]?\"\"\"|[rR]?'''|[A-Za-z_]\w* *(?::[^=\n]+)?= *\S)"
)
REWARD_LINE = re.compile(rf"^(?:async )?def {FUNCTION_NAME}[ \t]*\(", re.MULTILINE)
_STATEMENT = re.compile(
    r"(?:def|async|class|return|if|elif|else|for|while|try|except|finally|with|raise|assert|yield|del|not|lambda)\b"
    r"|(?:import|from|match|case|pass|global)\b(?! [a-z]+ [a-z]+ [a-z]+)|[@)\]}]"
)
_PROSE = re.compile(r"(?!```|~~~)[-*>#•\d.`\"'“(<\s/]*[^\W\d_]")
_INVISIBLE = re.compile("[\ufeff\u200b-\u200f\u2060\u00ad]")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u3000]")
_QUOTES = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'"})
_LANGUAGE_LINE = re.compile(r"\A\s*(?:python3?|py3?)[ \t]*\n(?=\s*\S)", re.IGNORECASE)
_NUMBER = re.compile(r"^[ \t]*\d+(?:[ \t]?[:|.])?(?: |\t|$)")
_HEADER_LINE = re.compile(r"(?:name|family|description)[ \t]*:[^=]*$", re.IGNORECASE)
_HEAD_LINES, _ENDS_TRIED = 6, 40


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


def is_candidate(code: str) -> bool:
    """Whether the code can be a candidate once it is tidied."""
    return FUNCTION_NAME in code and code_problem(tidied(code)) is None


def parses(code: str) -> bool:
    """Whether it is Python of any kind."""
    try:
        parse(code)
    except CodeUnreadable:
        return False
    return True


def tidied(code: str) -> str:
    """Undoes what models do to code in JSON or Markdown: indentation, doubled escapes, sentences around it."""
    code = _laid_out(_LANGUAGE_LINE.sub("", code.removeprefix("\ufeff")))
    if len(code) > LONGEST_CODE or code_problem(code) is None:
        return code
    visible = _SPACES.sub(" ", _INVISIBLE.sub("", code))
    for text in dict.fromkeys((code, visible, html.unescape(visible))):
        for repair in _REPAIRS:
            repaired = _laid_out(repair(text))
            if repaired != code and code_problem(repaired) is None:
                return repaired
    return code


def without_prose(text: str) -> str:
    """The code of a text with sentences before and after it; the text itself if no code in it can be a candidate.

    Nothing but sentences is left out, never a line of code.
    """
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if CODE_LINE.match(line)][:_HEAD_LINES]
    for start in starts:
        if not all(is_prose(line) or line.startswith(("from ", "import ")) for line in lines[:start] if line.strip()):
            break
        sentences = [place for place in range(start + 1, len(lines)) if is_prose(lines[place])]
        for end in [len(lines), *reversed(sentences[:_ENDS_TRIED])]:
            if any(line.startswith(("def ", "class ", "async def ")) for line in lines[end:]):
                break
            if code_problem(code := "\n".join(lines[start:end])) is None:
                return code
    return text


def is_prose(line: str) -> bool:
    """Whether a line is a sentence or a tag rather than Python."""
    if not line.strip() or line[0].isspace() or _is_code(line) or not _PROSE.match(line):
        return False
    return not parses(line) or _HEADER_LINE.match(line) is not None


def defined_rewards(tree: ast.Module) -> list[ast.FunctionDef]:
    """Every function of that name at the top level; the last one counts."""
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == FUNCTION_NAME]


def is_stub(function: ast.FunctionDef) -> bool:
    """Whether it only states its signature."""
    return all(
        isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in function.body
    )


def _is_code(line: str) -> bool:
    if _STATEMENT.match(line):
        return True
    return CODE_LINE.match(line) is not None and not line.startswith(("from ", "import ", "#"))


def _laid_out(code: str) -> str:
    lines = textwrap.dedent(code).strip("\n").split("\n")
    while len(lines) > 1 and (not lines[-1].strip() or _HEADER_LINE.match(lines[-1])):
        lines.pop()
    return "\n".join(lines) + "\n"


def _unescaped(code: str) -> str:
    if "\\n" not in code or "\n" in code.strip():
        return code
    return code.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')


def _unnumbered(code: str) -> str:
    lines = code.split("\n")
    if not all(_NUMBER.match(line) for line in lines if line.strip()):
        return code
    return "\n".join(_NUMBER.sub("", line) for line in lines)


def _unprompted(code: str) -> str:
    """Without the prompts of an interpreter, and without what it printed."""
    lines = code.split("\n")
    if not any(line.startswith(">>> ") for line in lines):
        return code
    return "\n".join(line[4:] for line in lines if line.startswith((">>>", "...")))


_REPAIRS: tuple[Callable[[str], str], ...] = (
    lambda code: code,
    _unescaped,
    _unnumbered,
    _unprompted,
    lambda code: code.translate(_QUOTES),
    without_prose,
)
