"""Families of small functions to be written: what is asked, a solution as text, and what it gives."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eval.tasks.testbed.draws import Draws

WORDS = (
    "amber", "basket", "candle", "dragon", "engine", "feather", "garden", "hollow", "island", "jacket", "kettle",
    "lantern", "meadow", "needle", "orange", "pepper", "quarry", "ribbon", "saddle", "tunnel", "velvet", "window",
)  # fmt: skip
LETTERS = "aeilnrst"
SIGNS = "-+/.:_"

Draw = Callable[[Draws], Any]


@dataclass(frozen=True, slots=True)
class Family:
    """`ask` and `solution` are templates with {k} and {c}. `expected` computes what the function gives from its
    argument, k and c, without the text of the solution."""

    name: str
    level: int
    argument: str
    ask: str
    solution: str
    """The body of the function."""
    expected: Callable[[Any, int, Any], object]
    draw: Draw
    """An argument."""
    k: tuple[int, int]
    """Bounds of k, both included."""
    c: Draw | None = None


def number(low: int, high: int) -> Draw:
    return lambda draws: draws.integer(low, high)


def numbers(low: int, high: int, shortest: int = 0, longest: int = 9) -> Draw:
    return lambda draws: [draws.integer(low, high) for _ in range(draws.integer(shortest, longest))]


def word(draws: Draws) -> str:
    return draws.choice(WORDS)


def text(draws: Draws) -> str:
    return " ".join(draws.choice(WORDS) for _ in range(draws.integer(1, 4)))


def words(draws: Draws) -> list[str]:
    return [draws.choice(WORDS) for _ in range(draws.integer(0, 5))]


def _until_small(value: int, limit: int) -> int:
    steps = 0
    while value > limit:
        value = value // 2 if value % 2 == 0 else 3 * value + 1
        steps += 1
    return steps


def _in_base(value: int, base: int) -> str:
    return str(value) if value < base else _in_base(value // base, base) + str(value % base)


def _longest_run(values: list[int], least: int) -> int:
    return max(
        (len(list(run)) for high, run in itertools.groupby(values, lambda value: value >= least) if high), default=0
    )


def _shifted(letters: str, places: int) -> str:
    return "".join(chr((ord(letter) - 97 + places) % 26 + 97) if letter.isalpha() else letter for letter in letters)


def _grouped(values: list[int], divisor: int) -> dict[int, list[int]]:
    return {
        rest: [value for value in values if value % divisor == rest] for rest in {value % divisor for value in values}
    }


def _like_fibonacci(place: int, first: int, second: int) -> int:
    for _ in range(place):
        first, second = second, first + second
    return first


FAMILIES = (
    Family(
        "times_plus", 1, "number", "{k} times the number, plus {c}",
        "return {k} * number + {c}",
        lambda n, k, c: n * k + c, number(-30, 30), (2, 20), number(1, 20),
    ),
    Family(
        "is_multiple", 1, "number", "whether the number is a multiple of {k}, as True or False",
        "return number % {k} == 0",
        lambda n, k, c: n // k * k == n, number(0, 60), (2, 15),
    ),
    Family(
        "last_digit", 1, "number", "the last digit of the number to the power {k}, as an integer",
        "return pow(number, {k}, 10)",
        lambda n, k, c: int(str(n**k)[-1]), number(1, 99), (2, 15),
    ),
    Family(
        "kept_between", 1, "number",
        "the number if it lies between {c} and {c} + {k} (both included), else the nearer of those two bounds",
        "return min(max(number, {c}), {c} + {k})",
        lambda n, k, c: sorted([n, c, c + k])[1], number(-20, 60), (5, 30), number(-5, 20),
    ),
    Family(
        "digit_sum", 1, "number", "the sum of the number's decimal digits, multiplied by {k}",
        "return {k} * sum(int(digit) for digit in str(number))",
        lambda n, k, c: k * (n % 10 + n // 10 % 10 + n // 100 % 10 + n // 1000), number(0, 9999), (1, 15),
    ),
    Family(
        "common_divisor", 1, "number", "the greatest common divisor of the number and {k}",
        "import math\nreturn math.gcd(number, {k})",
        lambda n, k, c: max(d for d in range(1, k + 1) if n % d == 0 and k % d == 0), number(1, 200), (4, 60),
    ),
    Family(
        "scaled", 1, "values", "the list of all values multiplied by {k}",
        "return [{k} * value for value in values]",
        lambda v, k, c: [sum([value] * k) for value in v], numbers(-9, 20), (2, 20),
    ),
    Family(
        "count_above", 1, "values", "how many of the values are greater than {k}",
        "return sum(value > {k} for value in values)",
        lambda v, k, c: len([value for value in v if value > k]), numbers(0, 30), (3, 25),
    ),
    Family(
        "multiples", 1, "values", "the list of those values that are multiples of {k}, in their order",
        "return [value for value in values if value % {k} == 0]",
        lambda v, k, c: list(filter(lambda value: value // k * k == value, v)), numbers(1, 40), (2, 9),
    ),
    Family(
        "count_letter", 1, "text", "how often the letter '{c}' occurs in the text, times {k}",
        "return {k} * text.count('{c}')",
        lambda t, k, c: k * len([letter for letter in t if letter == c]), text, (1, 9),
        lambda draws: draws.choice(LETTERS),
    ),
    Family(
        "long_words", 1, "text", "the list of the words of the text that have more than {k} letters, in their order",
        "return [word for word in text.split() if len(word) > {k}]",
        lambda t, k, c: [word for word in t.split(" ") if len(word) >= k + 1], text, (4, 6),
    ),
    Family(
        "joined", 1, "words", "the words joined by '{c}', each repeated {k} times without a blank",
        "return '{c}'.join(word * {k} for word in words)",
        lambda w, k, c: c.join("".join([word] * k) for word in w), words, (1, 5), lambda draws: draws.choice(SIGNS),
    ),
    Family(
        "every_so_many", 2, "values", "the sum of the values at the places 0, {k}, 2 * {k} and so on",
        "return sum(values[::{k}])",
        lambda v, k, c: sum(value for place, value in enumerate(v) if place % k == 0), numbers(-9, 30), (2, 5),
    ),
    Family(
        "rotated", 2, "values", "the list rotated to the left by {k} places; of an empty list an empty list",
        "if not values:\n    return []\nplaces = {k} % len(values)\nreturn values[places:] + values[:places]",
        lambda v, k, c: [v[(place + k) % len(v)] for place in range(len(v))], numbers(0, 20), (1, 12),
    ),
    Family(
        "largest", 2, "values", "the list of the {k} largest values, the largest first; all of them if there are fewer",
        "return sorted(values, reverse=True)[:{k}]",
        lambda v, k, c: [-value for value in sorted(-value for value in v)][:k], numbers(-20, 20), (1, 6),
    ),
    Family(
        "chunks", 2, "values", "the values cut into lists of {k}, in their order; the last one may be shorter",
        "return [values[start : start + {k}] for start in range(0, len(values), {k})]",
        lambda v, k, c: [v[part * k :][:k] for part in range(math.ceil(len(v) / k))], numbers(0, 9), (2, 6),
    ),
    Family(
        "window_sums", 2, "values", "the list of the sums of every {k} consecutive values",
        "return [sum(values[start : start + {k}]) for start in range(len(values) - {k} + 1)]",
        lambda v, k, c: [sum(v[end - k : end]) for end in range(k, len(v) + 1)], numbers(-9, 20), (2, 5),
    ),
    Family(
        "pairs_with_sum", 2, "values", "how many pairs of values at two different places have the sum {k}",
        "import itertools\nreturn sum(a + b == {k} for a, b in itertools.combinations(values, 2))",
        lambda v, k, c: sum(v[i] + v[j] == k for j in range(len(v)) for i in range(j)), numbers(0, 9), (4, 14),
    ),
    Family(
        "shifted", 2, "text", "the text with every letter moved {k} places on in the alphabet, after z again from a",
        "moved = ''\nfor letter in text:\n    if letter != ' ':\n"
        "        letter = chr((ord(letter) - 97 + {k}) % 26 + 97)\n    moved += letter\nreturn moved",
        lambda t, k, c: _shifted(t, k), text, (1, 25),
    ),
    Family(
        "without_letter", 2, "text",
        "the text without the letter '{c}' and without everything after its first {k} letters",
        "return text[:{k}].replace('{c}', '')",
        lambda t, k, c: "".join(letter for letter in t[:k] if letter != c), text, (5, 20),
        lambda draws: draws.choice(LETTERS),
    ),
    Family(
        "by_remainder", 2, "values",
        "a dict from each remainder by {k} that occurs among the values to the list of values with it, in their order",
        "groups = {{}}\nfor value in values:\n    groups.setdefault(value % {k}, []).append(value)\nreturn groups",
        lambda v, k, c: _grouped(v, k), numbers(0, 40), (2, 7),
    ),
    Family(
        "running_remainders", 2, "values", "the list of the remainders by {k} of the running totals of the values",
        "total, found = 0, []\nfor value in values:\n    total += value\n    found.append(total % {k})\nreturn found",
        lambda v, k, c: [total % k for total in itertools.accumulate(v)], numbers(0, 20), (2, 12),
    ),
    Family(
        "first_place", 2, "values",
        "the place, counted from 0, of the first value of at least {k}, or -1 if there is none",
        "for place, value in enumerate(values):\n    if value >= {k}:\n        return place\nreturn -1",
        lambda v, k, c: next((place for place, value in enumerate(v) if value >= k), -1), numbers(0, 30), (5, 29),
    ),
    Family(
        "distinct_sorted", 2, "values", "the sorted list of the distinct values, without {k}",
        "return sorted(set(values) - {{{k}}})",
        lambda v, k, c: [value for value, _ in itertools.groupby(sorted(v)) if value != k], numbers(0, 9), (0, 9),
    ),
    Family(
        "in_base", 3, "number", "the digits of the number in base {k}, as a text",
        "digits = ''\nwhile number >= {k}:\n    number, digit = divmod(number, {k})\n    digits = str(digit) + digits\n"
        "return str(number) + digits",
        lambda n, k, c: _in_base(n, k), number(0, 500), (2, 9),
    ),
    Family(
        "steps_down", 3, "number",
        "how many steps it takes until the number is at most {k}, where a step halves an even number and makes three "
        "times an odd one plus one",
        "steps = 0\nwhile number > {k}:\n    number = number // 2 if number % 2 == 0 else 3 * number + 1\n"
        "    steps += 1\nreturn steps",
        lambda n, k, c: _until_small(n, k), number(1, 60), (1, 20),
    ),
    Family(
        "longest_run", 3, "values", "the length of the longest run of consecutive values that are all at least {k}",
        "best = run = 0\nfor value in values:\n    run = run + 1 if value >= {k} else 0\n    best = max(best, run)\n"
        "return best",
        lambda v, k, c: _longest_run(v, k), numbers(0, 20, 3, 14), (3, 16),
    ),
    Family(
        "common_letters", 3, "text",
        "the {k} most frequent letters of the text as one text, the most frequent first and among equals by the "
        "alphabet; blanks do not count",
        "import collections\ncounts = collections.Counter(text.replace(' ', ''))\n"
        "return ''.join(sorted(counts, key=lambda letter: (-counts[letter], letter))[:{k}])",
        lambda t, k, c: "".join(
            letter for letter, _ in sorted(Counter(sorted(t.replace(" ", ""))).most_common(), key=lambda p: -p[1])
        )[:k],
        text, (1, 5),
    ),
    Family(
        "like_fibonacci", 3, "place",
        "the number at the given place, counted from 0, of the series that begins with {c} and {k} and in which every "
        "further number is the sum of the two before it",
        "first, second = {c}, {k}\nfor _ in range(place):\n    first, second = second, first + second\nreturn first",
        lambda n, k, c: _like_fibonacci(n, c, k), number(0, 20), (1, 12), number(0, 9),
    ),
    Family(
        "change", 3, "amount",
        "the least number of coins with the values 1, {c} and {c} + {k} that make the amount exactly",
        "best = [0]\nfor sum_ in range(1, amount + 1):\n"
        "    best.append(1 + min(best[sum_ - coin] for coin in (1, {c}, {c} + {k}) if coin <= sum_))\n"
        "return best[amount]",
        lambda n, k, c: min(
            n - c * a - (c + k) * b + a + b
            for b in range(n // (c + k) + 1)
            for a in range((n - (c + k) * b) // c + 1)
        ),
        number(0, 60), (1, 9), number(2, 9),
    ),
    Family(
        "prime_sum", 3, "number", "the sum of all primes up to the number that do not divide {k}",
        "total = 0\nfor value in range(2, number + 1):\n"
        "    if {k} % value and all(value % other for other in range(2, value)):\n        total += value\nreturn total",
        lambda n, k, c: sum(
            p for p in range(2, n + 1) if k % p and len([d for d in range(1, p + 1) if p % d == 0]) == 2
        ),
        number(0, 60), (2, 30),
    ),
    Family(
        "diagonals", 3, "size",
        "the sum of both diagonals of the square table with the given number of rows whose entry in row i and column "
        "j, counted from 0, is {k} * i + j; an entry that lies on both counts once",
        "total = 0\nfor row in range(size):\n    for column in {{row, size - 1 - row}}:\n"
        "        total += {k} * row + column\nreturn total",
        lambda n, k, c: sum(k * i + j for i in range(n) for j in range(n) if i == j or i + j == n - 1),
        number(0, 12), (2, 15),
    ),
)  # fmt: skip
"""Thirty-two of them."""
