"""The objects of a JSONL file, each with its place in words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError


def json_lines(path: Path, noun: str, form: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Number (from 1), place in words and content of every line that is not blank.

    `noun`: what the lines are, such as `predictions`; `form`: an example of one. The path `-` is stdin. Raises
    UserError naming the line that is no JSON object, or the file that holds none.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; {noun} are JSON lines such as {form}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; give a JSONL file of {noun}") from None
    found = False
    # Not splitlines(): JSON strings may hold U+2028 and other characters that it would break at.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        found, where = True, f"{path}, line {number}"
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where} is not JSON ({error}); write one object per line such as {form}") from None
        if not isinstance(item, dict):
            raise UserError(f"{where} is not a JSON object; write {form}")
        yield number, where, item
    if not found:
        raise UserError(f"{path} holds no {noun}; write one JSON object per line such as {form}")
