"""Reward modules taken apart and put together again over the syntax tree, without running any of them."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import GlobalScope, MetadataWrapper, ScopeProvider

from rewards_generated.contract import FUNCTION_NAME

ARGUMENTS = "prompt, completion, answer"
_SIGNATURE = f"def {FUNCTION_NAME}(prompt: str, completion: str, answer: str) -> float:"


@dataclass(frozen=True, slots=True)
class Parts:
    """A module in three parts, each as source text. `names`: everything defined in the body's outermost scope."""

    imports: tuple[str, ...]
    body: str
    names: frozenset[str]
    imported: frozenset[str]


def module_parts(module: cst.Module) -> Parts:
    """Docstring dropped, imports apart (they may stand first without a change of meaning), the rest as it is."""
    imports: list[str] = []
    body: list[str] = []
    for place, statement in enumerate(module.body):
        lines: list[cst.CSTNode] = list(statement.body) if isinstance(statement, cst.SimpleStatementLine) else []
        if place == 0 and len(lines) == 1 and isinstance(lines[0], cst.Expr) and _is_text(lines[0].value):
            continue
        if lines and all(isinstance(line, cst.Import | cst.ImportFrom) for line in lines):
            imports.extend(module.code_for_node(line).strip().rstrip(";").strip() for line in lines)
        else:
            body.append(module.code_for_node(statement))
    scope = _global_scope(module)
    imported = frozenset(name for text in imports for name in _bindings(text))
    assignments = scope.assignments if scope else ()
    defined = frozenset(item.name for item in assignments if not _is_import(getattr(item, "node", None)))
    return Parts(tuple(imports), "".join(body).strip("\n"), defined - imported, imported)


def assembled(docstring: str, parts: Sequence[Parts], further: str, imports: Sequence[str] = ()) -> str | None:
    """One module out of several parts and further source; None where two imports bind one name to different things."""
    sources: dict[str, str] = {}
    lines: list[str] = []
    for text in (*(line for part in parts for line in part.imports), *imports):
        for name in _bindings(text):
            if sources.setdefault(name, text) != text and _bindings(sources[name])[name] != _bindings(text)[name]:
                return None
        if text not in lines:
            lines.append(text)
    if any(part.names & sources.keys() for part in parts):
        return None
    lines.sort(key=lambda text: (not text.startswith("from __future__"), text.startswith("from "), text))
    head = "\n\n".join(block for block in (_quoted(docstring), "\n".join(lines)) if block)
    blocks = [head, *(part.body for part in parts), further.strip("\n")]
    return "\n\n\n".join(block for block in blocks if block) + "\n"


def with_docstring(module: cst.Module, docstring: str) -> str:
    """The module's source under another docstring."""
    statements = list(module.body)
    first = statements[0] if statements else None
    if (
        isinstance(first, cst.SimpleStatementLine)
        and isinstance(first.body[0], cst.Expr)
        and _is_text(first.body[0].value)
    ):
        statements = (
            statements[1:] if len(first.body) == 1 else [first.with_changes(body=first.body[1:]), *statements[1:]]
        )
    line = cst.SimpleStatementLine([cst.Expr(cst.SimpleString(_quoted(docstring)))])
    if statements:
        statements[0] = statements[0].with_changes(leading_lines=[cst.EmptyLine(indent=False)])
    return str(module.with_changes(body=[line, *statements], header=()).code)


def reward_source(expression: str, *preparation: str) -> str:
    """The source of a `reward` that prepares something line by line and returns the expression."""
    return "\n    ".join((_SIGNATURE, *preparation, f"return {expression}")) + "\n"


def renamed(module: cst.Module, new_name: Callable[[str], str | None]) -> cst.Module:
    """The module with names of its outermost scope renamed wherever they mean that scope; imports stay.

    `new_name` gives the new name, or None to keep the old one. Locals of the same name are left alone.
    """
    wrapper = MetadataWrapper(module)
    scope = next((item for item in wrapper.resolve(ScopeProvider).values() if isinstance(item, GlobalScope)), None)
    if scope is None:
        return module
    targets: dict[cst.CSTNode, str] = {}
    for assignment in scope.assignments:
        node = getattr(assignment, "node", None)
        name = new_name(assignment.name)
        if name is None or node is None or _is_import(node):
            continue
        targets[node.name if isinstance(node, cst.FunctionDef | cst.ClassDef) else node] = name
        for access in assignment.references:
            targets[_leftmost(access.node)] = name
    return wrapper.module.visit(_Renaming(targets))


def names_in(module: cst.Module) -> frozenset[str]:
    """Every identifier that occurs anywhere in the module."""
    collector = _Names()
    module.visit(collector)
    return frozenset(collector.found)


def undefined_names(code: str) -> frozenset[str]:
    """Names that the module reads from its outermost scope and that are defined nowhere."""
    table = symtable.symtable(code, "candidate", "exec")
    defined = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    pending, read = [table], set()
    while pending:
        scope = pending.pop()
        pending.extend(scope.get_children())
        for symbol in scope.get_symbols():
            outermost = symbol.is_global() or scope is table
            if symbol.is_referenced() and outermost:
                read.add(symbol.get_name())
    return frozenset(read - defined - set(dir(builtins)) - {"__name__", "__doc__", "__annotations__"})


def first_free(name: str, taken: frozenset[str]) -> str:
    """The name itself, or with the first number that makes it unused."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate


class _Renaming(cst.CSTTransformer):  # type: ignore[misc]
    def __init__(self, targets: dict[cst.CSTNode, str]) -> None:
        self.targets = targets

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        name = self.targets.get(original_node)
        return updated_node.with_changes(value=name) if name else updated_node


class _Names(cst.CSTVisitor):  # type: ignore[misc]
    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_Name(self, node: cst.Name) -> None:
        self.found.add(node.value)


def _leftmost(node: cst.CSTNode) -> cst.CSTNode:
    while isinstance(node, cst.Attribute):
        node = node.value
    return node


def _global_scope(module: cst.Module) -> GlobalScope | None:
    scopes = MetadataWrapper(module).resolve(ScopeProvider).values()
    return next((scope for scope in scopes if isinstance(scope, GlobalScope)), None)


def _quoted(docstring: str) -> str:
    text = docstring.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')
    return f'"""{text}"""'


def _is_import(node: object) -> bool:
    return isinstance(node, cst.Import | cst.ImportFrom)


def _is_text(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.SimpleString | cst.ConcatenatedString)


def _bindings(text: str) -> dict[str, str]:
    """Bound name → what it stands for, of one import statement."""
    statement = ast.parse(text).body[0]
    if isinstance(statement, ast.Import):
        return {
            alias.asname or alias.name.partition(".")[0]: alias.name if alias.asname else alias.name.partition(".")[0]
            for alias in statement.names
        }
    assert isinstance(statement, ast.ImportFrom)
    if statement.module == "__future__":
        return {}
    return {alias.asname or alias.name: f"{statement.module}.{alias.name}" for alias in statement.names}
