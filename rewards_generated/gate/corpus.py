"""Inputs that break careless reward code: a reward must give a finite float for every one of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rewards_generated.rollout import Sample


@dataclass(frozen=True, slots=True)
class HostileInput:
    name: str
    """What is odd about it, for the message."""
    sample: Sample


_PROMPT = "Sam has 17 pens and buys 5 more. How many pens has Sam now?"
_DIGITS = "7" * 10_000


@cache
def hostile_inputs() -> tuple[HostileInput, ...]:
    """The hostile corpus: odd completions, then odd prompts and answers beside an ordinary completion."""
    completions = {
        "an empty completion": "",
        "one space": " ",
        "only white space": " \n\t\r\n " * 50,
        "one character": "x",
        "only punctuation": ".,;:!?()[]{}=+-*/" * 20,
        "null characters": "\x00\x00<solution>\x0022\x00</solution>\x00",
        "control characters": "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029",
        "an unclosed tag": "<thinking> 17 + 5 = 22 <solution> 22",
        "only closing tags": "</solution></thinking>",
        "tags in the wrong order": "</solution> 22 <solution></thinking> so <thinking>",
        "nested tags": "<solution><solution><thinking>22</thinking></solution></solution>",
        "empty tags": "<thinking></thinking><solution></solution>",
        "blank tags": "<thinking> \n </thinking> <solution> \n </solution>",
        "many tags": "<thinking>a</thinking><solution>1</solution>" * 100,
        "text instead of a number in the solution": "<thinking> so </thinking><solution> twenty-two </solution>",
        "several numbers in the solution": "<thinking> so </thinking><solution> 22 or 23 or 24 </solution>",
        "a number of 10,000 digits": f"<thinking> {_DIGITS} + 1 = {_DIGITS} </thinking><solution>{_DIGITS}</solution>",
        "a decimal with 10,000 places": f"<thinking> 1 </thinking><solution>0.{_DIGITS}</solution>",
        "a number with a huge exponent": "<thinking> 2 ^ 9999999 = 1e9999999 </thinking><solution>1e9999999</solution>",
        "nan and infinity": "<thinking> nan + inf = nan . -inf </thinking><solution> nan </solution>",
        "division by zero": "<thinking> 5 / 0 = 0 . 0 / 0 = 1 . 3 % 0 = 0 </thinking><solution> 1/0 </solution>",
        "lone signs and dots": "<thinking> - + . , $ % -- ++ .. ,, = == 1..2 -.5. </thinking><solution> - </solution>",
        "commas everywhere": "<thinking> ,1,,2,3,,, + 1,00,0 = ,,, </thinking><solution> ,1,,0, </solution>",
        "a zero": "<thinking> 0 * 0 = 0 </thinking><solution> 0 </solution>",
        "a negative number": "<thinking> 3 - 25 = -22 </thinking><solution> -22 </solution>",
        "digits of other scripts": "<thinking> ١٧ + ٥ = ٢٢ . ² ½ Ⅷ ५ </thinking><solution> ²² </solution>",
        "letters outside ASCII": "Ω≈ç√∫ 你好 שלום ﷽ ñ é <thinking>等待 检查</thinking><solution>二十二</solution>",
        "emoji and joined marks": "👩‍👩‍👧‍👦🏳️‍🌈" * 30 + "e" + "\u0301" * 200,
        "case that changes length": "İSTANBUL ǰ ŉ ẞ ﬃ" * 20,
        "right-to-left marks": "\u202e22\u202c \u200b\ufeff <solution>\u200b22\u200b</solution>",
        "a private and an unassigned character": "\ue000\U0010ffff\ufffe",
        "one long word": "a" * 4_000,
        "one long line of spaces": "x" + " " * 4_000 + "y",
        "many lines": "17 + 5 = 22\n" * 400,
        "many waits": "wait check 17 + 5 = 22 . " * 200,
        "long nesting of brackets": "(" * 1_500 + "1" + ")" * 1_500,
        "format and escape marks": "%s %d %% {} {0} {x} \\ \\n \\1 $1 ${a} `ls` '; --",
        "markup": "<b>22</b> &lt;solution&gt;22&lt;/solution&gt; <!-- 22 --> <solution a='1'>22</solution>",
        "LaTeX": r"\[ \frac{44}{2} = \boxed{22} \] $17 + 5 = 22$ \text{so } \therefore 22\%",
        "JSON": '{"thinking": "17 + 5", "solution": [22, null, NaN]}',
        "code": "```python\nprint(17 + 5)\n```\n22",
        "Windows line ends": "<thinking>\r\n17 + 5 = 22\r\n</thinking>\r\n<solution>22</solution>\r\n",
    }
    ordinary = "<thinking> 17 + 5 = 22 . </thinking> <solution> 22 </solution>"
    others = {
        "an empty prompt": Sample("", ordinary, "22"),
        "an empty gold answer": Sample(_PROMPT, ordinary, ""),
        "a gold answer in words": Sample(_PROMPT, ordinary, "twenty-two pens"),
        "a gold answer of zero": Sample(_PROMPT, ordinary, "0"),
        "a gold answer in LaTeX": Sample(_PROMPT, ordinary, r"\frac{44}{2}"),
        "a gold answer with commas": Sample(_PROMPT, ordinary, "1,022"),
        "a gold answer of 10,000 digits": Sample(_PROMPT, ordinary, _DIGITS),
        "a prompt of 4,000 characters": Sample(_PROMPT * 60, ordinary, "22"),
        "nothing at all": Sample("", "", ""),
    }
    return tuple(
        [HostileInput(name, Sample(_PROMPT, text, "22")) for name, text in completions.items()]
        + [HostileInput(name, sample) for name, sample in others.items()]
    )


GROWING = {
    "a long word": "a",
    "spaces": " ",
    "digits": "7",
    "single letters with spaces": "a ",
    "short lines": "a\n",
    "sums": "17 + 5 = 22 . ",
    "unfinished sums": "1 + ",
    "waits": "wait check ",
    "opening tags": "<thinking> <solution> ",
    "closing tags": "</thinking> </solution> ",
    "digits with commas": "1,",
    "words": "so we have the next step and check it ",
}
"""What the time check repeats: name → unit."""


def growing_sample(unit: str, characters: int) -> Sample:
    """A completion of about that many characters of one repeated unit, ended by a character that matches nothing."""
    text = unit * (characters // len(unit))
    return Sample(_PROMPT, f"<thinking>{text}\u00a7", "22")
