"""The part of a module that one expression needs: the statements that it uses, and those that they use."""

from __future__ import annotations

import ast
import re
import textwrap

_IMPORT = (ast.Import, ast.ImportFrom)


def source_lines(code: str) -> list[str]:
    """The lines that a syntax tree counts, with their ends: form feeds and typographic line ends end none."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", code)


def cut_out_inner(code: str, tree: ast.Module, function: ast.stmt) -> str:
    """A function that is defined inside another one, and what it uses of the top level."""
    lines = source_lines(code)
    inner = textwrap.dedent("".join(lines[function.lineno - 1 : function.end_lineno])).rstrip("\n")
    body = cut_out(code, tree, ast.unparse(function))
    return f"{body}\n\n{inner}\n" if body else f"{inner}\n"


def cut_out(code: str, tree: ast.Module, expression: str) -> str:
    """The statements of the top level that the expression depends on, as they are written, in their order.

    Of imports only the names that are used. Statements that bind nothing (calls, prints, a main block) are left out.
    """
    wanted = _names(ast.parse(expression))
    statements = [statement for statement in tree.body if _bound(statement)]
    kept: set[int] = set()
    grown = True
    while grown:
        grown = False
        for place, statement in enumerate(statements):
            if place not in kept and _bound(statement) & wanted:
                kept.add(place)
                wanted |= _names(statement)
                grown = True
    lines = source_lines(code)
    parts = ["from __future__ import annotations\n"] if _has_future(tree) else []
    before = None
    for place in sorted(kept):
        statement = statements[place]
        apart = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if parts and (apart or isinstance(before, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)):
            parts.append("\n\n")
        elif parts and isinstance(before, _IMPORT) and not isinstance(statement, _IMPORT):
            parts.append("\n")
        parts.append(_text(statement, lines, wanted))
        before = statement
    return "".join(parts)


def _has_future(tree: ast.Module) -> bool:
    return any(isinstance(item, ast.ImportFrom) and item.module == "__future__" for item in tree.body)


def _text(statement: ast.stmt, lines: list[str], wanted: set[str]) -> str:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        names = [alias for alias in statement.names if (alias.asname or alias.name.partition(".")[0]) in wanted]
        copy = ast.Import(names) if isinstance(statement, ast.Import) else None
        kept = copy or ast.ImportFrom(statement.module, names, statement.level)  # type: ignore[union-attr]
        return ast.unparse(ast.fix_missing_locations(kept)) + "\n"
    first = min([statement.lineno, *(item.lineno for item in getattr(statement, "decorator_list", []))])
    text = "".join(lines[first - 1 : statement.end_lineno])
    return text if text.endswith("\n") else text + "\n"


def _bound(statement: ast.stmt) -> set[str]:
    """Names that the statement binds at the top level."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            return set()
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
        inner = [item for item in ast.walk(statement) if isinstance(item, ast.stmt) and item is not statement]
        return set().union(*(_bound(item) for item in inner)) if inner else set()
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _names(node: ast.AST) -> set[str]:
    """Names that are read anywhere inside, annotations too."""
    found = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
    quoted = [item.value for item in ast.walk(node) if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return found | {text for text in quoted if text.isidentifier()}
