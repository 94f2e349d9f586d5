"""Generated reward modules for the fuzz, good and bad, and inputs that the gate has not seen. All from a seed."""

from __future__ import annotations

import ast
import random
from functools import cache

from rewards_generated.library import load_library
from rewards_generated.rollout import Sample
from tests.rewards_generated.gate.ordinary_rewards import BATCH_REWARDS, SAMPLE_REWARDS

CONSTANTS: tuple[object, ...] = (
    0, 1, -1, 2, 3, 0.0, -0.0, 0.5, 1e-300, 1e308, 1e999, -1e999, 10**9, 2**63, -(2**31), 10**30, True, None, "", " ",
    "\x00", "x", "0", "[0-9]+", "(a+)+$", "(.*)*x", ".*", "\\d", "(", "=", "<solution>", "</thinking>", "wait", b"",
    1j, ...,
)  # fmt: skip

NAMES = (
    "prompt",
    "completion",
    "answer",
    "len",
    "sum",
    "max",
    "min",
    "abs",
    "float",
    "int",
    "str",
    "sorted",
    "set",
    "re",
    "math",
)

OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.BitXor)
COMPARISONS = (ast.Lt, ast.Gt, ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is)


def generated_module(seed: int) -> str:
    """One module; the kind, and everything in it, follows from the seed."""
    draw = random.Random(seed)
    kind = draw.choices(("mutated", "random", "garbled"), (5, 4, 1))[0]
    if kind == "random":
        return _random_module(draw)
    good = draw.choice(_good())
    return _mutated(good, draw) if kind == "mutated" else _garbled(good, draw)


def fresh_samples(seed: int, count: int = 40) -> list[Sample]:
    """Inputs unlike those of the gate: other words, other numbers, other breakages."""
    draw = random.Random(f"fresh-{seed}")
    samples = []
    for _ in range(count):
        gold = draw.choice((str(draw.randint(-99, 9999)), _text(draw, 12)))
        samples.append(Sample(_text(draw, 200), _text(draw, 1500), gold))
    return samples


@cache
def _good() -> tuple[str, ...]:
    return tuple([item.code for item in load_library()] + [*SAMPLE_REWARDS.values(), *BATCH_REWARDS.values()])


def _text(draw: random.Random, longest: int) -> str:
    pieces = (
        "<thinking>", "</thinking>", "<solution>", "</solution>", " = ", " + ", " - ", "*", "/", "wait", "check",
        "step", "so", "the", ".", ",", "\n", "\t", "$", "%", "(", "]", "é", "٣", "²", "\x00", "\u2028", "😀",
        "verify", "goal",
    )  # fmt: skip
    parts: list[str] = []
    size = 0
    while size < draw.randint(0, longest):
        part = draw.choice((draw.choice(pieces), str(draw.randint(0, 10 ** draw.randint(1, 30))), " "))
        parts.append(part * draw.choice((1, 1, 1, 1, draw.randint(1, 40))))
        size += len(parts[-1])
    return "".join(parts)


class _Mutation(ast.NodeTransformer):
    def __init__(self, draw: random.Random, rate: float) -> None:
        self._draw = draw
        self._rate = rate

    def _now(self) -> bool:
        return self._draw.random() < self._rate

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Constant(self._draw.choice(CONSTANTS)) if self._now() else node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if self._now() and isinstance(node.ctx, ast.Load):
            return ast.Name(self._draw.choice(NAMES), node.ctx)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if self._now():
            node.op = self._draw.choice(OPERATORS)()
        if self._now():
            node.left, node.right = node.right, node.left
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if self._now():
            node.ops = [self._draw.choice(COMPARISONS)() for _ in node.ops]
        return node

    def visit_If(self, node: ast.If) -> ast.stmt:
        self.generic_visit(node)
        if self._now():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        return node

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        self.generic_visit(node)
        if self._now():
            return ast.Return(None) if self._draw.random() < 0.3 else ast.Pass()
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        self.generic_visit(node)
        return ast.Pass() if self._draw.random() < self._rate / 3 else node


def _mutated(code: str, draw: random.Random) -> str:
    tree = _Mutation(draw, draw.choice((0.01, 0.03, 0.1))).visit(ast.parse(code))
    try:
        return ast.unparse(ast.fix_missing_locations(tree))
    except (ValueError, TypeError, AttributeError):
        return code


def _garbled(code: str, draw: random.Random) -> str:
    for _ in range(draw.randint(1, 4)):
        start = draw.randrange(len(code))
        match draw.randrange(4):
            case 0:
                code = code[:start] + code[start + draw.randint(1, 30) :]
            case 1:
                code = (
                    code[:start]
                    + draw.choice(("(", ")", ":", "\x00", "\t", "é", '"""', "\\", "\ud800", "0x"))
                    + code[start:]
                )
            case 2:
                code = code[:start]
            case _:
                line = code[start : start + draw.randint(1, 60)]
                code = code[:start] + line * draw.randint(2, 20) + code[start:]
        code = code or "x"
    return code


def _random_module(draw: random.Random) -> str:
    lines = ["import re", "import math", "def reward(prompt, completion, answer):"]
    names = ["prompt", "completion", "answer"]
    for number in range(draw.randint(0, 4)):
        expression = _expression(draw, names, draw.randint(1, 4))
        statement = draw.choice(
            (
                f"v{number} = {expression}",
                f"v{number} = [{expression} for w in completion.split()[:50]]",
                f"v{number} = 0\n    for c in completion[:200]:\n        v{number} += {expression} if c == ' ' else 1",
                f"v{number} = {expression}\n    if {expression}:\n        return {_expression(draw, names, 2)}",
                f"try:\n        v{number} = {expression}\n    except Exception:\n        v{number} = 0",
            )
        )
        lines.append("    " + statement)
        names.append(f"v{number}")
    result = _expression(draw, names, draw.randint(1, 4))
    forms = ("float({})", "min(3.0, max(-3.0, float({})))", "{}", "len(str({})) / 10")
    lines.append("    return " + draw.choice(forms).format(result))
    return "\n".join(lines) + "\n"


ARITHMETIC = ("+", "-", "*", "/", "//", "%", "**", "<<")
RELATIONS = ("<", "==", "in", "is not", "and", "or")
PATTERNS = ('r"[0-9]+"', 'r"(a|a)+b"', 'r"\\bwait\\b"', 'r"(\\w+\\s?)+="')
FUNCTIONS = ("min", "max", "abs", "sum", "sorted", "set", "int", "float", "bool", "round", "math.log", "math.exp")


def _expression(draw: random.Random, names: list[str], depth: int) -> str:
    if depth == 0 or draw.random() < 0.15:
        return draw.choice((draw.choice(names), repr(draw.choice(CONSTANTS[:16])), "'='", "'wait'", "' '", "7", "3"))

    def inner() -> str:
        return _expression(draw, names, depth - 1)

    return draw.choice(
        (
            lambda: f"({inner()} {draw.choice(ARITHMETIC)} {inner()})",
            lambda: f"({inner()} {draw.choice(RELATIONS)} {inner()})",
            lambda: f"len({inner()})",
            lambda: f"len(str({inner()}))",
            lambda: f"completion.count({inner()})",
            lambda: "completion.count('=')",
            lambda: "len(completion.split('wait'))",
            lambda: f"len(re.findall({draw.choice(PATTERNS)}, completion))",
            lambda: f"({inner()} if {inner()} else {inner()})",
            lambda: f"{draw.choice(FUNCTIONS)}({inner()})",
            lambda: f"completion[{inner()}:]",
            lambda: f"completion.split({inner()})",
            lambda: f"[w for w in {inner()}]",
            lambda: f"({inner()}, {inner()})[{draw.randint(0, 2)}]",
        )
    )()
