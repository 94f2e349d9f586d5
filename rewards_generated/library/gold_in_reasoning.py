"""The gold number is reached by some equation, wherever it stands.

family: correctness
role: reward

Partial credit for a completion that found the number and then lost it (in the format, or by going on). The result of
the first equation that reaches it counts more the later it comes, since an early hit is likely an accident.
"""

import re

RESULT = re.compile(r"[-+*/] ?[0-9]{1,9} ?= ?(-?[0-9]{1,9})(?![0-9]|\.[0-9])")


def reward(prompt: str, completion: str, answer: str) -> float:
    gold = answer.replace(",", "").strip()
    results = RESULT.findall(completion)
    if gold not in results:
        return 0.0
    last = len(results) - 1 - results[::-1].index(gold)
    return 0.5 + 0.5 * (last + 1) / len(results)
