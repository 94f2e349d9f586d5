"""Identity: equal up to comments, docstrings and layout, and the same on every Python version."""

from __future__ import annotations

import ast

import pytest

from rewards_generated.identity import CodeUnreadable, identity
from rewards_generated.library import LibraryReward, load_library

EVERY_CONSTRUCT = '''
"""doc"""
from __future__ import annotations
import re, math as m
from collections import Counter, defaultdict as dd
X = 1_000; Y = -2.5e-3; Z = 3j; B = b"a\\x00"; U = u"x"; E = ...
P = re.compile(r"(?P<a>\\d+)" "tail")
@staticmethod
def f(a, /, b: int = 1, *args, c=None, **k) -> "int":
    "doc"
    x = f"{a!r:>{b}} {b=} {{}} {c:.2f}" "more" f"{a:}" f"" f"{'q'}"
    y: int = 3
    z = [i for i in a] if False else {k: v for k, v in {}.items() if k if v}
    return lambda q, *r: (q, *r)
class A(object):
    """doc"""
    x: int
    def g(self): return super().__init__()
def reward(prompt, completion, answer):
    global X
    try:
        while True:
            if (n := len(completion)) > 3 and not n < 2 <= 5: break
            else: continue
        with open("x") as g, h: pass
        match n:
            case {"a": 1, **rest} | [1, *_] | A(x=3) | None: pass
            case -1 | 1+2j | "s": ...
            case _ if n: pass
        for i, (j, *k) in []: del i[1:2, ::3]; assert i, "m"
        else: raise ValueError from None
    except (A, ValueError) as e: nonlocal_ = e
    finally: a @= b; a //= 2
    x = a if b else c; y = a[1:2]; z = a.b(*c, **d); yield_ = not a; w = ~a
    return 1.0
'''


def test_golden_hash_is_the_same_on_every_python_version() -> None:
    """Computed on 3.11, 3.12 and 3.13; a change breaks every ledger that was ever written."""
    assert identity(EVERY_CONSTRUCT) == "6895664cc2a82bec5401c55f30422fefa12c57cead31d8826beabad817818b28"
    assert identity("def reward(prompt, completion, answer):\n    return 1.0\n") == (
        "4d00d9a32be6fcc7dea0054b00f4bdf19e796221d87c7a2b5731f237e83df6c2"
    )


PLAIN = "import re\n\ndef reward(prompt, completion, answer):\n    return float(len(completion) > 3)\n"


@pytest.mark.parametrize(
    "variant",
    [
        "# why\nimport re\ndef reward(prompt,completion,answer):\n\treturn float(len(completion)>3)  # so",
        '"""Doc."""\nimport re\n\n\n'
        'def reward(prompt, completion, answer):\n    """Doc."""\n    return float(len(completion) > 3)\n',
        "import re\r\ndef reward(prompt, completion, answer): return (float((len(completion)) > (3)))\r\n",
        "import re\ndef reward(\n    prompt,\n    completion,\n    answer,\n):\n"
        "    return float(\n        len(completion) > 3\n    )\n",
        "import re\ndef reward(prompt, completion, answer):\n"
        "    'a'\n    'b'\n    pass\n    return float(len(completion) > 0x3)\n",
    ],
)
def test_comments_docstrings_and_layout_do_not_count(variant: str) -> None:
    assert identity(variant) == identity(PLAIN)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 'a'", "x = b'a'"),
        ("x = 0.1", "x = 0.1000000000000001"),
        ("x = 0.0", "x = -0.0"),
        ("x = y + z", "x = z + y"),
        ("x = y", "y = x"),
        ("f(a, b)", "f(a, b=b)"),
        ("def f(a, b): return a", "def f(a, *b): return a"),
        ("def f(a, /, b): return a", "def f(a, b, /): return a"),
        ("x = [a]", "x = (a,)"),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("x = f'{a}b'", "x = 'b' f'{a}'"),
        ("x = a[1:]", "x = a[:1]"),
        ("if a:\n    b()\nc()", "if a:\n    b()\n    c()"),
        ("import re", "import re as r"),
        ("from a import b", "from .a import b"),
        ("x = {**a}", "x = {a: a}"),
        ("x = ''", "x = None"),
    ],
)
def test_what_the_code_does_counts(first: str, second: str) -> None:
    assert identity(first) != identity(second)


@pytest.mark.parametrize("item", load_library(), ids=lambda item: item.name)
def test_library_survives_being_reprinted(item: LibraryReward) -> None:
    assert identity(ast.unparse(ast.parse(item.code))) == identity(item.code)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def reward(:\n", "invalid syntax"),
        ("x = 1\x00", "null"),
        ("x = '\ud800'", "not source text"),
        ("x = " + "-" * 15_000 + "1", "nested too deeply"),
        ("x = a" + ".b" * 9_000, "nested too deeply"),
        ("if a: pass\n" + "elif a: pass\n" * 1_400, "nested too deeply"),
        ("x = " + "9" * 5_000, "4300 digits"),
    ],
)
def test_unreadable_code_is_told_not_crashed_on(code: str, said: str) -> None:
    with pytest.raises(CodeUnreadable, match=said):
        identity(code)


def test_line_of_a_syntax_error_is_known() -> None:
    with pytest.raises(CodeUnreadable) as caught:
        identity("x = 1\ny = = 2\n")
    assert caught.value.line == 2
