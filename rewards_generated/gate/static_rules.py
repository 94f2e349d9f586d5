"""The first fence: what the text of a reward may contain. The sandbox stands behind it and trusts none of this.

What decides is what can be reached. Modules are no values: a module's name stands only before a dot, and behind the dot
stands a public name that is no module, so that no alias, container, default or argument ever holds one. What reads
attributes by text, runs text or makes classes from text is refused by name wherever it comes from, and what cannot be
decided by looking (a format that is computed, a pattern over computed names) is refused too.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType

MODULES = frozenset(
    {
        "re",
        "math",
        "statistics",
        "collections",
        "collections.abc",
        "fractions",
        "decimal",
        "itertools",
        "functools",
        "string",
        "json",
        "difflib",
        "unicodedata",
        "typing",
        "dataclasses",
        "abc",
        "bisect",
        "cmath",
        "copy",
        "enum",
        "heapq",
        "numbers",
        "textwrap",
        "__future__",
        "logging",
        "math_verify",
        "latex2sympy2_extended",
    }
)

PUBLIC_NAMES = {
    "logging": {"getLogger", "Logger", "debug", "info", "warning", "error", "exception", "critical"}
    | {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"},
    "math_verify": {"parse", "verify", "LatexExtractionConfig", "ExprExtractionConfig", "StringExtractionConfig"},
    "latex2sympy2_extended": {"NormalizationConfig", "latex2sympy", "normalize_latex"},
}
"""Of modules that can do more than a reward may: what of them is allowed. math-verify is imported before the seal."""

TOO_ABLE: dict[str, str] = {
    "get_type_hints": "it runs annotations as code",
    "ForwardRef": "it runs text as code",
    "evaluate_forward_ref": "it runs text as code",
    "singledispatch": "it runs annotations as code; test with `isinstance`",
    "singledispatchmethod": "it runs annotations as code; test with `isinstance`",
    "update_wrapper": "it reads and sets attributes by text",
    "wraps": "it reads and sets attributes by text; a decorator does without it",
    "make_dataclass": "it makes code from text; write the class out",
    "Formatter": "it reads attributes by text; use an f-string",
    "global_enum": "it changes a module",
}
"""Public names of allowed modules that can do more than a reward may, and what to do instead."""

INSTEAD: dict[str, str] = {
    "os": "a reward sees no files and no environment",
    "sys": "a reward has nothing to do with the interpreter",
    "pathlib": "a reward reads no files",
    "io": "a reward reads no files",
    "subprocess": "a reward starts no processes",
    "requests": "a reward has no network",
    "urllib": "a reward has no network",
    "httpx": "a reward has no network",
    "aiohttp": "a reward has no network",
    "openai": "a reward asks no model; rewards by a judge belong into the trainer",
    "litellm": "a reward asks no model; rewards by a judge belong into the trainer",
    "random": "the same completion must always get the same value",
    "time": "the same completion must always get the same value",
    "datetime": "the same completion must always get the same value",
    "asyncio": "a reward waits for nothing; compute the value straight away",
    "threading": "a reward is called once per completion and needs no threads",
    "concurrent": "a reward is called once per completion and needs no threads",
    "multiprocessing": "a reward starts no processes",
    "signal": "time limits are the sandbox's: a call that is late is stopped and unscored",
    "timeout_decorator": "time limits are the sandbox's: a call that is late is stopped and unscored",
    "inspect": "a reward does not look into the interpreter",
    "importlib": "import at the top with `import name`",
    "ast": "compare text or numbers; to read a literal use `json`, `float` or `re`",
    "pickle": "a reward loads no objects",
    "numpy": "write sums and means with `math` and `statistics`",
    "scipy": "write sums and means with `math` and `statistics`",
    "pandas": "a reward is given one completion; write it with `statistics` and `collections`",
    "torch": "a reward gives back a float; write it with `math` and `statistics`",
    "transformers": "count words or characters instead of tokens",
    "tiktoken": "count words or characters instead of tokens",
    "nltk": "split text with `re`",
    "spacy": "split text with `re`",
    "sympy": "compare mathematics with `math_verify`",
    "regex": "write the pattern for `re`",
    "Levenshtein": "compare texts with `difflib`",
    "rapidfuzz": "compare texts with `difflib`",
    "trl": "cut out the function alone: FILE.py:NAME takes along only what it uses",
    "verl": "cut out the function alone: FILE.py:NAME takes along only what it uses",
    "verifiers": "cut out the function alone: FILE.py:NAME takes along only what it uses",
}
"""Why a module is refused and what to write in its place; of a package the whole."""

_VALUES_AND_TYPES = """
True False None Ellipsis NotImplemented bool bytearray bytes complex dict float frozenset int list object set slice str
tuple type classmethod property staticmethod super
"""
_FUNCTIONS = """
abs all any ascii bin callable chr divmod enumerate filter format hasattr hex isinstance issubclass iter len map max min
next oct ord pow print range repr reversed round sorted sum zip
"""
_EXCEPTIONS = """
ArithmeticError AssertionError AttributeError Exception FloatingPointError IndexError KeyError LookupError NameError
NotImplementedError OverflowError RecursionError RuntimeError StopIteration TypeError UnicodeDecodeError
UnicodeEncodeError UnicodeError ValueError ZeroDivisionError
"""
BUILTINS = frozenset(f"{_VALUES_AND_TYPES} {_FUNCTIONS} {_EXCEPTIONS} __name__".split())

REFUSED = {
    "eval": "it runs text as code",
    "exec": "it runs text as code",
    "compile": "it makes code from text; patterns come from `re.compile`",
    "__import__": "import at the top with `import name`",
    "open": "a reward reads no files",
    "input": "a reward reads nothing but its arguments",
    "getattr": "write the attribute out as `object.name`",
    "setattr": "assign with `object.name = value`",
    "delattr": "a reward deletes no attributes",
    "globals": "a reward keeps no state; pass values as arguments",
    "locals": "name the values instead",
    "vars": "name the values instead",
    "breakpoint": "a reward cannot be debugged in place",
    "memoryview": "a reward works on text",
    "__builtins__": "builtins are used by their names",
}
"""Refused wherever they are read, also as names of one's own: name → what to do instead."""

_METHODS = """
__init__ __post_init__ __new__ __call__ __len__ __iter__ __next__ __getitem__ __setitem__ __contains__ __eq__ __ne__
__lt__ __le__ __gt__ __ge__ __hash__ __repr__ __str__ __bool__ __add__ __radd__ __sub__ __mul__ __truediv__ __neg__
__abs__ __float__ __int__ __enter__ __exit__
"""
_DEFINABLE = frozenset(f"{_METHODS} __slots__ __match_args__ __all__ __name__ __version__ __author__".split())
_INTERNAL = re.compile(r"(gi|cr|ag|tb|co)_\w+|f_(back|builtins|code|globals|lasti|lineno|locals|trace\w*)|func_\w+|mro")
_FIELD_ATTRIBUTE = re.compile(r"\{[^{}:!]*\.")
_DUNDER_IN_TEXT = re.compile(r"__[A-Za-z]\w*__")


@dataclass(frozen=True, slots=True)
class Violation:
    line: int
    reason: str
    """What is refused and what to do instead."""


_MODULES_WITHIN = frozenset(
    {"sys", "os", "builtins", "bltns", "codecs", "atexit", "copyreg", "contextlib", "inspect", "threading", "traceback"}
    | {"weakref", "handlers", "addHandler", "manager", "loggerClass", "makeRecord"}
)
"""Attributes of allowed modules and of loggers that lead out of them, whatever they are taken of."""


def violations(tree: ast.Module) -> list[Violation]:
    """Everything in the code that the policy refuses, by line; empty if there is nothing."""
    visitor = _Visitor(tree)
    visitor.visit(tree)
    return sorted(visitor.found, key=lambda violation: violation.line)


class _Visitor(ast.NodeVisitor):
    def __init__(self, tree: ast.Module) -> None:
        self.found: list[Violation] = []
        self._bound = _bound_names(tree)
        self._modules = _module_names(tree)
        self._docstrings = _docstrings(tree)
        self._before_dots: set[ast.expr] = set()
        self._local: list[frozenset[str]] = []

    def _refuse(self, node: ast.AST, reason: str) -> None:
        self.found.append(Violation(getattr(node, "lineno", 1), reason))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name not in MODULES:
                self._refuse(node, f"`import {alias.name}` is not allowed: {_instead(alias.name)}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or node.module not in MODULES:
            name = "." * node.level + (node.module or "")
            self._refuse(node, f"`from {name} import` is not allowed: {_instead(name)}")
            return
        for alias in node.names:
            if alias.name == "*":
                self._refuse(node, f"`from {node.module} import *` hides what is used; import names one by one")
            elif alias.name in TOO_ABLE:
                self._refuse(node, f"`{alias.name}` is not allowed: {TOO_ABLE[alias.name]}")
            elif node.module != "__future__" and not _is_public(node.module, alias.name):
                self._refuse(node, f"`{alias.name}` is not a public name of `{node.module}`")
            elif f"{node.module}.{alias.name}" in MODULES:
                self._refuse(node, f"write `import {node.module}.{alias.name}`: a module is no value")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = node.attr
        module = self._module(node.value)
        if module is not None:
            self._before_dots.add(node.value)
        if _is_dunder(name):
            if not (name in {"__init__", "__post_init__"} and _is_super_call(node.value)):
                self._refuse(node, f"`.{name}` is not allowed: no double-underscore attributes")
        elif module is not None and not _is_public(module, name):
            self._refuse(node, f"`{module}.{name}` is not a public name of `{module}`")
        elif module is not None and f"{module}.{name}" in MODULES and node not in self._before_dots:
            self._refuse(node, f"`{module}.{name}` may stand only before a dot: a module is no value")
        elif name in ("format", "format_map") and not _is_plain_format(node.value):
            self._refuse(node, f"`.{name}` of a text that is not written out is not allowed: use an f-string")
        else:
            self._attribute(node, name)
        self.generic_visit(node)

    def _attribute(self, node: ast.AST, name: str) -> None:
        if _INTERNAL.fullmatch(name) or name in _MODULES_WITHIN:
            self._refuse(node, f"`.{name}` is not allowed: it reaches into the interpreter")
        elif name in TOO_ABLE:
            self._refuse(node, f"`.{name}` is not allowed: {TOO_ABLE[name]}")

    def _module(self, node: ast.expr) -> str | None:
        """The allowed module that an expression is."""
        if isinstance(node, ast.Name):
            return None if any(node.id in names for names in self._local) else self._modules.get(node.id)
        if isinstance(node, ast.Attribute) and (outer := self._module(node.value)) is not None:
            inner = f"{outer}.{node.attr}"
            if inner in MODULES:
                self._before_dots.add(node)
                return inner
        return None

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            if _is_dunder(node.id) and node.id not in _DEFINABLE:
                self._refuse(node, f"`{node.id}` may not be assigned: no double-underscore names")
            return
        if node.id in REFUSED:
            self._refuse(node, f"`{node.id}` is not allowed: {REFUSED[node.id]}")
        elif self._module(node) is not None and node not in self._before_dots:
            self._refuse(node, f"`{node.id}` may stand only before a dot: a module is no value")
        elif node.id == "type" and node not in self._before_dots:
            self._refuse(node, "`type` is allowed only as `type(value)`: write a class out, test with `isinstance`")
        elif node.id not in BUILTINS and node.id not in self._bound:
            self._refuse(node, f"`{node.id}` is neither defined in the code nor an allowed builtin")

    def visit_Constant(self, node: ast.Constant) -> None:
        if node.value == "__main__":
            return
        if (
            isinstance(node.value, str)
            and node not in self._docstrings
            and (found := _DUNDER_IN_TEXT.search(node.value))
        ):
            self._refuse(node, f"the text {found[0]!r} is not allowed: no double-underscore names, also not in strings")

    def visit_Global(self, node: ast.Global) -> None:
        self._refuse(node, f"`global {', '.join(node.names)}` is not allowed: a reward keeps no state between calls")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if _is_dunder(node.name) and node.name not in _DEFINABLE:
            self._refuse(node, f"a method `{node.name}` may not be defined")
        for outside in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(outside)
        self._local.append(_local_names(node))
        for inside in (*(item for item in ast.walk(node.args) if isinstance(item, ast.arg)), node.returns, *node.body):
            if inside is not None:
                self.visit(inside)
        self._local.pop()

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Name) and function.id == "type" and len(node.args) == 1 and not node.keywords:
            self._before_dots.add(function)
        if isinstance(function, ast.Name) and function.id in ("isinstance", "issubclass"):
            self._before_dots.update(item for item in node.args[1:] if isinstance(item, ast.Name) and item.id == "type")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        named = any(isinstance(target, ast.Name) and target.id == "__match_args__" for target in node.targets)
        if named and not _are_texts(node.value):
            self._refuse(node, "`__match_args__` must be a tuple of names that are written out")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id == "__match_args__" and not _are_texts(node.value):
            self._refuse(node, "`__match_args__` must be a tuple of names that are written out")
        self.generic_visit(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for outside in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(outside)
        self._local.append(_local_names(node))
        self.visit(node.body)
        self._local.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if node.keywords:
            self._refuse(node, f"class `{node.name}` may not have keywords such as `metaclass`")
        if any(isinstance(item, ast.Import) for item in ast.walk(node)):
            self._refuse(node, f"class `{node.name}` may not import: import at the top")
        self.generic_visit(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:
            if _is_dunder(name):
                self._refuse(node, f"`{name}=` is not allowed in a pattern: no double-underscore attributes")
            else:
                self._attribute(node, name)
        self.generic_visit(node)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name != "__"


def _is_plain_format(node: ast.expr) -> bool:
    """A text that is written out and whose fields are names, numbers or items, without attributes."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and not _FIELD_ATTRIBUTE.search(node.value)


def _are_texts(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Tuple) and all(isinstance(item, ast.Constant) for item in node.elts)


def _local_names(node: ast.FunctionDef | ast.Lambda) -> frozenset[str]:
    """Parameters, which hide a module of the same name."""
    found = node.args
    every = (*found.posonlyargs, *found.args, *found.kwonlyargs, found.vararg, found.kwarg)
    return frozenset(item.arg for item in every if item is not None)


def _is_super_call(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


@cache
def _is_public(module: str, name: str) -> bool:
    """Not private, and not a module that the module itself imported, such as `re.enum`."""
    if f"{module}.{name}" in MODULES:
        return True
    if module in PUBLIC_NAMES:
        return name in PUBLIC_NAMES[module]
    return not name.startswith("_") and not isinstance(getattr(import_module(module), name, None), ModuleType)


def _instead(module: str) -> str:
    package = module.partition(".")[0]
    if module.startswith("."):
        return "a reward stands alone in its file; write what it needs into it"
    allowed = "allowed are " + ", ".join(sorted(MODULES - {"__future__", "collections.abc"}))
    return f"{INSTEAD[package]}; {allowed}" if package in INSTEAD else allowed


def _module_names(tree: ast.Module) -> dict[str, str]:
    """Name in the code → allowed module that it stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = alias.name if alias.asname else alias.name.partition(".")[0]
                if module in MODULES:
                    names[alias.asname or module] = module
    return names


def _bound_names(tree: ast.Module) -> frozenset[str]:
    """Every name that the code binds anywhere; scopes are not told apart, a wrong use fails when it runs."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()):
                names.add(node.id)
            case ast.arg():
                names.add(node.arg)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.alias():
                names.add(node.asname or node.name.partition(".")[0])
            case ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name):
                names.add(name)
            case ast.MatchStar(name=str() as name) | ast.MatchMapping(rest=str() as name):
                names.add(name)
            case _:
                # Type parameters exist from Python 3.12 on.
                if type(node).__name__ in {"TypeVar", "ParamSpec", "TypeVarTuple"}:
                    names.add(str(getattr(node, "name", "")))
    return frozenset(names)


def _docstrings(tree: ast.Module) -> frozenset[ast.Constant]:
    """Text that stands alone as a statement: it does nothing, so it may say anything."""
    return frozenset(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
