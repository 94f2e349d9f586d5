"""The static policy: ordinary code passes, everything else is refused with its line and what to do instead."""

from __future__ import annotations

import pytest

from rewards_generated.gate import GateSettings, check, static_check
from rewards_generated.gate.static_rules import BUILTINS, MODULES, violations
from rewards_generated.identity import parse

REWARD = "def reward(prompt, completion, answer):\n    return 1.0\n"

ORDINARY = [
    "import re\nPATTERN = re.compile(r'x')\n",
    "import collections.abc as abc\nx = abc.Sequence\n",
    "from collections import Counter, defaultdict\nc = Counter()\n",
    "import collections\nx: collections.abc.Sequence = []\n",
    "from dataclasses import dataclass, field\n@dataclass\nclass A:\n    y: list = field(default_factory=list)\n",
    "class A:\n    __slots__ = ('x',)\n    def __init__(self, x):\n        self.x = x\n",
    "class A:\n    def __len__(self):\n        return 1\n",
    "class A(Exception):\n    def __init__(self):\n        super().__init__('a')\n",
    "def f(n):\n    return f'{n:.2f} {n!r} {n=}'\n",
    "def f(x):\n    def g():\n        nonlocal x\n        x += 1\n        return x\n    return g()\n",
    "squares = {n: n * n for n in range(9) if n % 2}\n",
    "from functools import lru_cache, reduce\n@lru_cache(maxsize=None)\ndef f(n):\n    return n\n",
    "from decimal import Decimal, InvalidOperation\ntry:\n    x = Decimal('1')\nexcept InvalidOperation:\n    x = 0\n",
    "from typing import Any, NamedTuple\nclass P(NamedTuple):\n    x: Any\n",
    "import math, statistics, fractions, itertools, string, json, difflib, unicodedata\nx = math.inf\n",
    "def f(x):\n    match x:\n        case {'a': b, **rest}:\n            return b, rest\n"
    "        case [first, *others]:\n            return first, others\n",
    "x = '____ fill in ____'\n",
    "if __name__ == '__main__':\n    print('run')\n",
    "def f():\n    yield from range(3)\n",
    "total = sum(len(word) for word in 'a b'.split())\n",
    "from __future__ import annotations\n",
    "from enum import Enum\nclass Kind(Enum):\n    A = 1\n",
    "import string\ndef f(string):\n    return len(string)\ng = lambda string: string.upper()\n",
    "x = '{} {:.2f} {a[0]}'.format(1, 2.5, a=[1])\n",
    "x = type(1) is int or isinstance(int, type)\n",
    "class A:\n    __match_args__ = ('x',)\n    def __init__(self, x):\n        self.operator = x\n",
    "import logging\nlogger = logging.getLogger(__name__)\nlogger.warning('x')\n",
    "import re\nPATTERN: re.Pattern[str] = re.compile('x')\ndef f(m: re.Match) -> re.Match:\n    return m\n",
    '"""Talks of __class__ and __import__ freely."""\n',
]


@pytest.mark.parametrize("code", ORDINARY)
def test_ordinary_code_passes(code: str) -> None:
    assert violations(parse(code + REWARD)) == []


REFUSED = [
    ("import os", "import os"),
    ("import os.path as p", "import os.path"),
    ("import re, subprocess", "import subprocess"),
    ("import random", "allowed: "),
    ("import numpy as np", "import numpy"),
    ("from os import system", "from os import"),
    ("from . import x", "from . import"),
    ("from re import *", "hides"),
    ("from re import enum", "`enum` is not a public name of `re`"),
    ("from json import codecs", "`codecs` is not a public name of `json`"),
    ("from re import _compiler", "not a public name"),
    ("import re\nx = re.enum.sys", "`re.enum` is not a public name"),
    ("import re as r\nx = r.enum", "`re.enum` is not a public name"),
    ("import json\nx = json.codecs.open('a')", "`json.codecs`"),
    ("x = ().__class__", "`.__class__`"),
    ("x = (lambda: 0).__globals__", "`.__globals__`"),
    ("x = [].__class__.__base__.__subclasses__()", "`.__subclasses__`"),
    ("def g():\n    yield 1\nx = g().gi_frame", "`.gi_frame`"),
    ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    x = e.__traceback__.tb_frame.f_back", "`.f_back`"),
    ("x = '{0.__class__}'.format(1)", "'__class__'"),
    ("x = f'{\"__globals__\"}'", "'__globals__'"),
    ("x = eval('1')", "`eval`"),
    ("exec('x = 1')", "`exec`"),
    ("x = compile('1', '', 'eval')", "`compile`"),
    ("x = __import__('os')", "`__import__`"),
    ("x = open('a')", "`open`"),
    ("x = getattr(1, 'real')", "`getattr`"),
    ("e = eval\nx = e('1')", "`eval`"),
    ("eval = 1\nx = eval", "`eval`"),
    ("x = globals()", "`globals`"),
    ("x = vars()", "`vars`"),
    ("x = __builtins__", "`__builtins__`"),
    ("x = __loader__", "neither defined"),
    ("x = hash('a')", "`hash` is neither"),
    ("x = id(1)", "`id` is neither"),
    ("x = undefined_name", "`undefined_name` is neither"),
    ("raise SystemExit", "`SystemExit`"),
    ("try:\n    x = 1\nexcept BaseException:\n    pass", "`BaseException`"),
    ("n = 0\ndef f():\n    global n\n    n += 1", "keeps no state"),
    ("class A(metaclass=type):\n    pass", "keywords"),
    ("class A:\n    def __getattr__(self, name):\n        return 1", "`__getattr__`"),
    ("class A:\n    def __reduce__(self):\n        return 1", "`__reduce__`"),
    ("__builtins__ = {}", "may not be assigned"),
    ("ｅｖａｌ('1')", "`eval`"),
    ("import re\nm = re\nx = m.enum.sys", "`re` may stand only before a dot"),
    ("import re\nx = [re][0].enum", "`re` may stand only before a dot"),
    ("import re\ndef f(m=re):\n    return m.enum", "`re` may stand only before a dot"),
    ("import re\ndef f(m):\n    return m.enum\nx = f(re)", "`re` may stand only before a dot"),
    ("import re\nx = (lambda m=re: m)()", "`re` may stand only before a dot"),
    ("import re\nfor m in (re,):\n    x = m", "`re` may stand only before a dot"),
    ("import collections.abc\nx = collections.abc", "`collections.abc` may stand only before a dot"),
    ("from collections import abc", "write `import collections.abc`"),
    ("class A:\n    import re\nx = A.re.enum", "may not import"),
    ("def f(m):\n    return m.sys", "`.sys`"),
    ("import typing\nx = typing.get_type_hints", "runs annotations"),
    ("from typing import get_type_hints as g", "runs annotations"),
    ("from functools import singledispatch", "runs annotations"),
    ("from functools import update_wrapper", "by text"),
    ("import functools\nx = functools.wraps", "by text"),
    ("import string\nx = string.Formatter()", "by text"),
    ("from dataclasses import make_dataclass", "from text"),
    ("n = '{0.' + 'x}'\nx = n.format(1)", "not written out"),
    ("x = str.format", "not written out"),
    ("x = '{0.real}'.format(1)", "not written out"),
    ("x = type('A', (), {'__get' + 'attr__': 1})", "`type(value)`"),
    ("t = type\nx = t('A', (), {})", "`type(value)`"),
    ("class A:\n    __match_args__ = ('gi_' + 'frame',)", "written out"),
    ("match 1:\n    case int(gi_frame=x):\n        pass", "`.gi_frame`"),
    ("import logging\nx = logging.getLogger().handlers", "`.handlers`"),
    ("match 1:\n    case int(__class__=x):\n        pass", "`__class__=`"),
]


@pytest.mark.parametrize(("code", "said"), REFUSED)
def test_everything_else_is_refused_with_a_reason(code: str, said: str) -> None:
    found = violations(parse(f"{REWARD}{code}\n"))
    assert any(said in violation.reason for violation in found), found
    assert all(violation.line > REWARD.count("\n") for violation in found)


def test_the_message_names_line_and_remedy() -> None:
    verdict = check("import re\nimport os\n" + REWARD)
    assert not verdict.accepted
    assert verdict.identity is not None
    (reason,) = verdict.reasons
    assert reason.startswith(
        "policy: line 2: `import os` is not allowed: a reward sees no files and no environment; allowed are "
    )


def test_many_violations_are_summed_up() -> None:
    (_, policy, _) = static_check("\n".join(f"import m{n}" for n in range(9)) + "\n" + REWARD)
    assert policy.value == 9
    assert policy.message.endswith("and 4 more")


def test_too_large_code_is_not_even_parsed() -> None:
    (size,) = static_check("x = (" * 30_000)
    assert not size.passed
    assert "150,000 characters" in size.message
    (nodes,) = static_check("x = [" + "1," * 7_000 + "]\n" + REWARD)
    assert "syntax nodes" in nodes.message
    assert static_check("x = 1\n" * 300 + REWARD, GateSettings(maximum_nodes=200))[0].passed is False


def test_syntax_errors_reject_with_their_line() -> None:
    verdict = check("def reward(prompt, completion, answer):\n    return (\n")
    assert not verdict.accepted
    assert verdict.identity is None
    assert verdict.checks[0].line == 2


def test_every_allowed_module_can_be_used_in_the_sandbox() -> None:
    from rewards_generated.sandbox.packages import MATHEMATICS
    from rewards_generated.sandbox.setup import PRELOADED

    assert {*PRELOADED, *MATHEMATICS} >= MODULES
    code = "".join(f"import {name}\n" for name in sorted(MODULES - {"__future__"}))
    body = "def reward(prompt, completion, answer):\n    return float(len(completion) % 7)\n"
    assert check(code + body).reasons == ()


def test_allowed_builtins_exist() -> None:
    import builtins

    assert [name for name in BUILTINS if not hasattr(builtins, name)] == []
