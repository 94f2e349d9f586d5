r"""Rewards of the library in the answer format of a task.

They are written for `<thinking>` and `<solution>` tags; in another format the same rewards look for its marks. Only the
text of string literals changes, so that a reward stays readable and keeps its own name.
"""

from __future__ import annotations

import ast

from rewards_generated.answers.formats import ANSWER_FORMATS, AnswerFormat

WRITTEN_FOR = ANSWER_FORMATS["solution"]
_PATTERN_FUNCTIONS = ("compile", "search", "match", "fullmatch", "findall", "finditer", "split", "sub")


def in_format(code: str, form: AnswerFormat) -> str:
    """The code with the format's marks in place of the tags that it looks for. Without a reasoning tag those of the
    reasoning become empty text."""
    if form == WRITTEN_FOR:
        return code
    tree = ast.parse(code)
    patterns = _patterns(tree)
    lines = code.split("\n")
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for node in sorted(strings, key=lambda node: (-node.lineno, -node.col_offset)):
        for row in range(node.lineno - 1, node.end_lineno or node.lineno):
            line = lines[row].encode()  # columns of the tree are bytes
            start = node.col_offset if row == node.lineno - 1 else 0
            end = node.end_col_offset if row == (node.end_lineno or 0) - 1 else len(line)
            literal = line[start:end].decode()
            changed = _in_pattern(literal, form) if node in patterns else _in_text(literal, form)
            lines[row] = (line[:start] + changed.encode() + line[end or 0 :]).decode()
    return "\n".join(lines)


def fits(code: str, form: AnswerFormat) -> bool:
    """Whether the format has everything that a reward on form alone asks for: the opening tag of the reasoning."""
    return "<thinking>" not in code or (form.reasoning_tag is not None and not form.reasoning_opened)


def _patterns(tree: ast.Module) -> set[ast.Constant]:
    """Literals that are patterns of `re`."""
    return {
        call.args[0]
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "re"
        and call.func.attr in _PATTERN_FUNCTIONS
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def _in_text(literal: str, form: AnswerFormat) -> str:
    return _replaced(literal, form, ("\\\\boxed{", "}"))


def _in_pattern(literal: str, form: AnswerFormat) -> str:
    if form.answer_tag is None and "<solution>" in literal:
        literal = literal.replace("[^<]", "[^{}]")
    return _replaced(literal, form, (r"\\boxed\{", r"\}"))


def _replaced(literal: str, form: AnswerFormat, box: tuple[str, str]) -> str:
    reasoning = (f"<{form.reasoning_tag}>", f"</{form.reasoning_tag}>") if form.reasoning_tag else ("", "")
    answer = box if form.answer_tag is None else (f"<{form.answer_tag}>", f"</{form.answer_tag}>")
    old = ("<thinking>", "</thinking>", "<solution>", "</solution>")
    # Through marks that stand in no code, since a new tag may be an old one.
    for place, tag in enumerate(old):
        literal = literal.replace(tag, f"\x00{place}\x00")
    for place, tag in enumerate((*reasoning, *answer)):
        literal = literal.replace(f"\x00{place}\x00", tag)
    return literal
