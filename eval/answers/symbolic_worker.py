"""The process behind `eval.answers.symbolic`: a request per line in, `true` or `false` out.

Run by path, so that it needs nothing of this project. Only LaTeX extraction is used: math-verify's plain
expressions go through sympy's `parse_expr`, which evaluates Python.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys


def main() -> None:
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    from math_verify import LatexExtractionConfig, parse, verify

    config = [LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)]

    def read(text: str) -> object:
        boxed = f"\\boxed{{{text}}}"
        return parse(boxed, extraction_config=config, fallback_mode="no_fallback", parsing_timeout=None)

    replies.write("ready\n")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            gold, answer = read(request["gold"]), read(request["answer"])
            equal = bool(gold) and bool(answer) and verify(gold, answer, timeout_seconds=None)
        except (Exception, RecursionError, MemoryError):  # noqa: BLE001 - the text is hostile: not understood, not equal
            equal = False
        replies.write("true\n" if equal else "false\n")


if __name__ == "__main__":
    main()
