"""A program's answers to test expressions as one number, as a reward that the sandbox runs.

`completion` holds the program and `prompt` a JSON list of expressions. What they should give is not told: only a
program that computes all of it can hit the number. Whatever the program raises leaves it without a score.
"""

import hashlib
import json
from typing import Any

_DEEPEST_VALUE = 20


def reward(prompt: str, completion: str, answer: str) -> float:
    expressions = [compile(expression, "test", "eval") for expression in json.loads(prompt)]
    names: dict[str, Any] = {"__name__": "solution"}
    exec(compile(completion, "solution", "exec"), names)  # noqa: S102 - in the sandbox
    return fingerprint([eval(expression, names) for expression in expressions])  # noqa: S307 - in the sandbox


def fingerprint(values: list[Any]) -> float:
    """A number in [0, 1) of 52 bits that tells lists of plain values apart. Raises TypeError for others."""
    text = "\n".join(plain(value, _DEEPEST_VALUE) for value in values)
    return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:13], 16) / 2**52


def plain(value: Any, depth: int) -> str:
    """A text that is the same for values that are `==`: of floats the first nine digits count."""
    if depth == 0:
        raise TypeError("values are nested too deeply")
    if isinstance(value, float):
        whole = value - value == 0 and value == int(value)
        return str(int(value)) if whole else format(value, ".9g")
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str | bytes) or value is None:
        return repr(value)
    for kind in (list, tuple):
        if isinstance(value, kind):
            return f"{kind.__name__}({','.join([plain(item, depth - 1) for item in value])})"
    if isinstance(value, set | frozenset):
        return f"set({','.join(sorted([plain(item, depth - 1) for item in value]))})"
    if isinstance(value, dict):
        pairs = [f"{plain(key, depth - 1)}:{plain(item, depth - 1)}" for key, item in value.items()]
        return f"dict({','.join(sorted(pairs))})"
    raise TypeError(f"a value of type {type(value).__name__} cannot be compared")
