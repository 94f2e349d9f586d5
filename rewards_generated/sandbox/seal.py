"""Which parts of the seal a worker tries to put on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seal:
    """All of it, except in tests, which hand a weaker one to a worker to see what then gets through.

    A weaker seal is measured like any other and so falls below the level that settings require; no environment variable
    and no configuration field leads here.
    """

    seccomp: bool = True
    landlock: bool = True
    isolation: bool = True
    """Where permitted: own network and IPC namespaces, an empty root directory, and for root an unprivileged user."""
    extra_modules: tuple[str, ...] = ()
    """Modules imported before the seal beside the usual ones; with them an attack meets the kernel, no ImportError."""


WEAKEST = Seal(seccomp=False, landlock=False, isolation=False)
