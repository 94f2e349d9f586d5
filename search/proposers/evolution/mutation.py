"""Small changes inside a reward: constants, comparisons, aggregations, keywords. Each gives another valid module."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider

from eval.tasks.testbed.draws import Draws
from search.proposers.evolution.composition import RIGHT_ANSWER

_FACTORS = (0.25, 0.5, 0.8, 1.25, 2.0, 4.0)
_COUNTING_CALLS = frozenset({"group", "start", "end", "span", "split", "rsplit", "count", "find", "rfind", "sub"}) | {
    *("range", "round", "enumerate", "int", "Decimal", "Fraction", "pow"),
    *("findall", "finditer", "search", "match", "fullmatch"),
}
"""Whole numbers handed to these are places or limits of text handling, not matters of taste."""
_COMPARISONS: dict[type[cst.BaseCompOp], type[cst.BaseCompOp]] = {
    cst.LessThan: cst.LessThanEqual,
    cst.LessThanEqual: cst.LessThan,
    cst.GreaterThan: cst.GreaterThanEqual,
    cst.GreaterThanEqual: cst.GreaterThan,
}
_AGGREGATIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "sum": "max"}
_METHODS = {"mean": "median", "median": "mean", "fmean": "median", "log1p": "sqrt"}
_ALTERNATIVES = re.compile(r"\((\?:)?([A-Za-z' ]+(?:\|[A-Za-z' ]+){2,})\)")
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z' -]{1,30}")


@dataclass(frozen=True, slots=True)
class Change:
    """A changed module. `verb` goes into the child's name, `description` says what was changed."""

    module: cst.Module
    verb: str
    description: str


def changed(module: cst.Module, draws: Draws, keywords: Sequence[str]) -> Change | None:
    """One random small change; None if nothing in the module can be changed.

    `keywords`: words that may be added to keyword lists.
    """
    wrapper = MetadataWrapper(module)
    places = _Places(wrapper.resolve(ParentNodeProvider))
    wrapper.module.visit(places)
    kinds: dict[Callable[[], Change], float] = {}
    for found, weight, change in (
        (places.numbers, 5.0, lambda: _number(wrapper.module, draws.choice(places.numbers), draws)),
        (
            places.keyword_lists,
            3.0,
            lambda: _keywords(wrapper.module, draws.choice(places.keyword_lists), draws, keywords),
        ),
        (places.patterns, 3.0, lambda: _alternatives(wrapper.module, draws.choice(places.patterns), draws, keywords)),
        (places.aggregations, 1.0, lambda: _aggregation(wrapper.module, draws.choice(places.aggregations))),
        (places.methods, 1.0, lambda: _method(wrapper.module, draws.choice(places.methods))),
        (places.comparisons, 0.4, lambda: _comparison(wrapper.module, draws.choice(places.comparisons))),
        (places.connectives, 0.7, lambda: _connective(wrapper.module, draws.choice(places.connectives))),
    ):
        if found:
            kinds[change] = weight
    return draws.weighted(kinds)() if kinds else None


def keywords_of(code: str) -> frozenset[str]:
    """The plain words and phrases that stand in keyword lists and pattern alternatives of the code."""
    wrapper = MetadataWrapper(cst.parse_module(code))
    places = _Places(wrapper.resolve(ParentNodeProvider))
    wrapper.module.visit(places)
    words = [str(_text(element.value)) for node in places.keyword_lists for element in node.elements]
    for node in places.patterns:
        words += [word for match in _ALTERNATIVES.finditer(node.value) for word in match[2].split("|")]
    return frozenset(word.strip() for word in words if _KEYWORD.fullmatch(word.strip()))


class _Places(cst.CSTVisitor):  # type: ignore[misc]
    """Collects what may be changed.

    A `while` is left alone (changed, it may never end), and so is the check for a right answer.
    """

    def __init__(self, parents: dict[cst.CSTNode, cst.CSTNode]) -> None:
        self.parents = parents
        self.numbers: list[cst.Integer | cst.Float] = []
        self.comparisons: list[cst.ComparisonTarget] = []
        self.aggregations: list[cst.Call] = []
        self.methods: list[cst.Attribute] = []
        self.connectives: list[cst.BooleanOperation] = []
        self.keyword_lists: list[cst.List | cst.Tuple | cst.Set] = []
        self.patterns: list[cst.SimpleString] = []

    def visit_While(self, node: cst.While) -> bool:
        return False

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        return not node.name.value.startswith(RIGHT_ANSWER)

    def visit_Annotation(self, node: cst.Annotation) -> bool:
        return False

    def visit_Subscript(self, node: cst.Subscript) -> bool:
        return False

    def visit_Expr(self, node: cst.Expr) -> bool:
        return not isinstance(node.value, cst.SimpleString | cst.ConcatenatedString)

    def visit_Float(self, node: cst.Float) -> None:
        if node.evaluated_value and abs(node.evaluated_value) < 1e6:
            self.numbers.append(node)

    def visit_Integer(self, node: cst.Integer) -> None:
        if 0 < node.evaluated_value < 1_000_000 and not self._is_structural(node):
            self.numbers.append(node)

    def visit_ComparisonTarget(self, node: cst.ComparisonTarget) -> None:
        if type(node.operator) in _COMPARISONS:
            self.comparisons.append(node)

    def visit_BooleanOperation(self, node: cst.BooleanOperation) -> None:
        self.connectives.append(node)

    def visit_Call(self, node: cst.Call) -> None:
        if not isinstance(node.func, cst.Name) or node.func.value not in _AGGREGATIONS or not node.args:
            return
        single = len(node.args) == 1 and not node.args[0].star and node.args[0].keyword is None
        # `max(0.0, x)` is a limit: as `min(0.0, x)` it would leave a constant.
        limit = any(_is_number(argument.value) for argument in node.args)
        if single or (node.func.value != "sum" and not limit):
            self.aggregations.append(node)

    def visit_Attribute(self, node: cst.Attribute) -> None:
        module = node.value.value if isinstance(node.value, cst.Name) else ""
        if module in ("statistics", "math") and node.attr.value in _METHODS:
            self.methods.append(node)

    def visit_List(self, node: cst.List) -> None:
        self._collect_keywords(node)

    def visit_Tuple(self, node: cst.Tuple) -> None:
        self._collect_keywords(node)

    def visit_Set(self, node: cst.Set) -> None:
        self._collect_keywords(node)

    def visit_SimpleString(self, node: cst.SimpleString) -> None:
        if _ALTERNATIVES.search(node.value):
            self.patterns.append(node)

    def _collect_keywords(self, node: cst.List | cst.Tuple | cst.Set) -> None:
        texts = [_text(element.value) for element in node.elements]
        if len(texts) >= 3 and all(text is not None and text.strip() for text in texts):
            self.keyword_lists.append(node)

    def _is_structural(self, node: cst.Integer) -> bool:
        """An index, a count for a text method, one side of `==`, or the 1 of `n - 1`."""
        parent = self.parents[node]
        while isinstance(parent, cst.UnaryOperation):
            parent = self.parents[parent]
        if isinstance(parent, cst.Arg):
            call = self.parents[parent]
            function = call.func if isinstance(call, cst.Call) else None
            name = function.attr if isinstance(function, cst.Attribute) else function
            return isinstance(name, cst.Name) and name.value in _COUNTING_CALLS
        if isinstance(parent, cst.ComparisonTarget):
            return isinstance(parent.operator, cst.Equal | cst.NotEqual)
        if isinstance(parent, cst.BinaryOperation):
            one_more = node.evaluated_value == 1 and isinstance(parent.operator, cst.Add | cst.Subtract | cst.Power)
            return one_more or isinstance(parent.operator, cst.Modulo)
        return isinstance(parent, cst.Comparison)


def _number(module: cst.Module, node: cst.Integer | cst.Float, draws: Draws) -> Change:
    old = node.evaluated_value
    if isinstance(node, cst.Integer) and old < 10:
        new: int | float = draws.choice([value for value in (old - 1, old + 1, 2 * old) if value > 0])
    else:
        new = old * draws.choice(_FACTORS)
        new = max(1, round(new)) if isinstance(node, cst.Integer) else float(f"{new:.3g}")
    replacement = cst.Integer(str(new)) if isinstance(new, int) else cst.Float(repr(new))
    return Change(
        _replaced(module, node, replacement), "tuned", f"the constant {node.value} became {replacement.value}"
    )


def _comparison(module: cst.Module, node: cst.ComparisonTarget) -> Change:
    operator = _COMPARISONS[type(node.operator)](
        whitespace_before=node.operator.whitespace_before, whitespace_after=node.operator.whitespace_after
    )
    old, new = _symbol(node.operator), _symbol(operator)
    return Change(
        _replaced(module, node, node.with_changes(operator=operator)), "bounded", f"a comparison {old} became {new}"
    )


def _connective(module: cst.Module, node: cst.BooleanOperation) -> Change:
    both = isinstance(node.operator, cst.And)
    spaces = {"whitespace_before": node.operator.whitespace_before, "whitespace_after": node.operator.whitespace_after}
    operator = cst.Or(**spaces) if both else cst.And(**spaces)
    # `a and b or c` groups otherwise than `a or b or c`: brackets keep what belonged together.
    replacement = node.with_changes(operator=operator, lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    old, new = ("and", "or") if both else ("or", "and")
    return Change(_replaced(module, node, replacement), "linked", f"a condition {old} became {new}")


def _aggregation(module: cst.Module, node: cst.Call) -> Change:
    old = node.func.value
    new = _AGGREGATIONS[old]
    changes: dict[str, object] = {"func": node.func.with_changes(value=new)}
    if old == "sum":
        only = node.args[0].value
        if isinstance(only, cst.GeneratorExp) and not only.lpar:
            only = only.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        # The largest of nothing is an error where the sum of nothing is 0.
        default = cst.Arg(
            keyword=cst.Name("default"),
            value=cst.Float("0.0"),
            equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
        )
        changes["args"] = [cst.Arg(only), default]
    return Change(_replaced(module, node, node.with_changes(**changes)), "aggregated", f"{old} became {new}")


def _method(module: cst.Module, node: cst.Attribute) -> Change:
    old = node.attr.value
    new = _METHODS[old]
    replacement = node.with_changes(attr=node.attr.with_changes(value=new))
    return Change(_replaced(module, node, replacement), "aggregated", f"{old} became {new}")


def _keywords(
    module: cst.Module, node: cst.List | cst.Tuple | cst.Set, draws: Draws, keywords: Sequence[str]
) -> Change:
    present = {_text(element.value) for element in node.elements}
    # A list of tags or patterns can lose an item, but a plain word has no place in it.
    plain = all(_KEYWORD.fullmatch(word or "") for word in present)
    added = [word for word in keywords if word not in present] if plain else []
    if added and draws.chance(0.6):
        word = draws.choice(added)
        element = cst.Element(cst.SimpleString(json.dumps(word, ensure_ascii=False)))
        replacement = node.with_changes(elements=[*node.elements, element])
        return Change(_replaced(module, node, replacement), "worded", f"{word!r} was added to a list of keywords")
    place = draws.integer(0, len(node.elements) - 1)
    word = str(_text(node.elements[place].value))
    elements = [*node.elements[:place], *node.elements[place + 1 :]]
    replacement = node.with_changes(elements=elements)
    return Change(_replaced(module, node, replacement), "worded", f"{word!r} was taken from a list of keywords")


def _alternatives(module: cst.Module, node: cst.SimpleString, draws: Draws, keywords: Sequence[str]) -> Change:
    match = draws.choice(list(_ALTERNATIVES.finditer(node.value)))
    words = match[2].split("|")
    added = [word for word in keywords if word not in words and '"' not in word and "'" not in word]
    if added and draws.chance(0.6):
        word = draws.choice(added)
        words, description = [*words, word], f"{word!r} was added to the alternatives of a pattern"
    else:
        word = words.pop(draws.integer(0, len(words) - 1))
        description = f"{word!r} was taken from the alternatives of a pattern"
    value = f"{node.value[: match.start(2)]}{'|'.join(words)}{node.value[match.end(2) :]}"
    return Change(_replaced(module, node, node.with_changes(value=value)), "worded", description)


def _replaced(module: cst.Module, old: cst.CSTNode, new: cst.CSTNode) -> cst.Module:
    replaced = module.deep_replace(old, new)
    assert isinstance(replaced, cst.Module)
    return replaced


def _text(node: cst.BaseExpression) -> str | None:
    value = node.evaluated_value if isinstance(node, cst.SimpleString) else None
    return value if isinstance(value, str) else None


def _is_number(node: cst.BaseExpression) -> bool:
    return isinstance(node.expression if isinstance(node, cst.UnaryOperation) else node, cst.Integer | cst.Float)


def _symbol(operator: cst.CSTNode) -> str:
    return str(cst.Module(body=()).code_for_node(operator)).strip()
