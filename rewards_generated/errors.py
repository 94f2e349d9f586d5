"""Who owns a failure. A user's mistake is one sentence; a reward's failure is data; the rest is our bug."""

from __future__ import annotations

from collections.abc import Iterable
from errno import EDQUOT, EMFILE, ENFILE, ENOSPC, EROFS

SCARCE = (ENOSPC, EDQUOT, EMFILE, ENFILE, EROFS)
"""Errors of a machine that has no room on its disk or no descriptors left, or may not be written."""


class UserError(Exception):
    """A mistake of the user's, told in one sentence: the field or file, its value, and what to do.

    The command line prints it and exits with code 2; nothing else is printed.
    """


class SandboxUnavailable(UserError):
    """The sandbox level that the configuration demands cannot be reached on this machine."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A phrase for error messages: the known name most like `name`, or all of them where none is alike."""
    from difflib import get_close_matches

    names = sorted(known)
    if alike := get_close_matches(name, names, n=1, cutoff=0.5):
        return f"did you mean {alike[0]!r}?"
    return f"choose one of {', '.join(names)}" if names else "none is known"
