"""When two pieces of reward code are the same candidate: equal up to comments, docstrings and layout.

The identity is a SHA-256 over a serialisation of the syntax tree of our own. `ast.dump` and `ast.unparse` both print
differently from one Python version to the next (new optional fields, other defaults, other quoting), so a ledger
written under one version could not be resumed under another.
"""

from __future__ import annotations

import ast
import hashlib
import json
import warnings
from collections.abc import Iterator

_WITHOUT_MEANING = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


class CodeUnreadable(ValueError):
    """The code is not Python. The message says why, `line` where (1-based), if a line is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse(code: str) -> ast.Module:
    """The syntax tree of the code, without running any of it. Raises CodeUnreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except SyntaxError as error:
        raise CodeUnreadable(f"{error.msg}", error.lineno) from None
    except (RecursionError, MemoryError):
        raise CodeUnreadable("expressions are nested too deeply") from None
    except ValueError as error:
        raise CodeUnreadable(f"not source text: {error}") from None


def identity(code: str) -> str:
    """SHA-256 (64 hex digits) of the code without comments, docstrings and layout.

    The same on every supported Python version. Raises CodeUnreadable.
    """
    return tree_identity(parse(code))


def tree_identity(tree: ast.Module) -> str:
    """`identity` of code that is parsed already. Raises CodeUnreadable where it is nested too deeply."""
    digest = hashlib.sha256()
    try:
        for part in _serialised(tree):
            digest.update(part.encode("ascii"))
    except RecursionError:
        raise CodeUnreadable("expressions are nested too deeply") from None
    return digest.hexdigest()


def _serialised(node: ast.AST) -> Iterator[str]:
    """`Class(field=value;...)` with fields in alphabetical order; absent and empty fields are left out."""
    yield type(node).__name__ + "("
    if isinstance(node, ast.Constant):
        yield _constant(node.value)
    else:
        for field in sorted(set(node._fields) - _WITHOUT_MEANING):
            value = getattr(node, field, None)
            if isinstance(node, ast.JoinedStr):
                value = _joined(node.values)
            elif isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                value = _statements(value)
            if value is None or value == []:
                continue
            yield field + "="
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, ast.AST):
                    yield from _serialised(item)
                else:
                    yield _constant(item)
                yield ","
            yield ";"
    yield ")"


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Without docstrings and other constants that stand alone, which do nothing."""
    kept = [
        statement
        for statement in body
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        and not isinstance(statement, ast.Pass)
    ]
    return kept or [ast.Pass()]


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string with neighbouring constants merged and empty ones dropped: versions split unlike."""
    merged: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            before = merged[-1] if merged else None
            if isinstance(before, ast.Constant) and isinstance(before.value, str):
                merged[-1] = ast.Constant(before.value + value.value)
                continue
            if not value.value:
                continue
        merged.append(value)
    return merged


def _constant(value: object) -> str:
    match value:
        case bool() | None:
            return str(value)
        case str():
            return json.dumps(value)
        case bytes():
            return "bytes:" + value.hex()
        case int():
            return "int:" + hex(value)
        case float():
            return "float:" + value.hex()
        case complex():
            return f"complex:{value.real.hex()}:{value.imag.hex()}"
        case _ if value is Ellipsis:
            return "Ellipsis"
    raise TypeError(f"unexpected constant in a syntax tree: {type(value).__name__}")
