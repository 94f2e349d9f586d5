"""Whether a run was started by this user on this machine: only then is code imported that it names.

A run directory can come from anybody, and a configuration may name classes as `package.module:Class`. At its start a
run gets a seal over those names and its working folder, made with a secret that stays with the user (0600, in
`$XDG_STATE_HOME/reward-search`); without that secret nobody can make one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from eval.tasks.files import texts
from rewards_generated.errors import UserError
from search.ledger import Ledger
from search.rounds.inputs import WORKING_FOLDER

_CODE = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")

ORIGIN = "origin"
"""The fact that holds the seal."""


@contextmanager
def start_folder(ledger: Ledger, folder: Path, *, trust: bool = False) -> Iterator[None]:
    """In the block, the working folder of the process is the one in which the run was started, if that is still there:
    relative paths, and modules of the user's own, are those of the start. For a run of somebody else's that is so only
    with `trust`.

    Raises UserError if somebody else's run names code, and is not to be trusted.
    """
    own, names = is_own(ledger), code_names(ledger.fact("config"))
    if names and not (own or trust):
        raise UserError(
            f"{folder} was not started by you on this machine, and going on would run code that it names: "
            f"{', '.join(names)}; if you know that code, add --trust"
        )
    start = ledger.fact(WORKING_FOLDER)
    if not (own or trust) or start is None or not os.path.isdir(start) or Path(start) == Path.cwd():
        yield
        return
    if start not in sys.path:
        sys.path.append(start)
    with chdir(start):
        yield


def origin_facts(config: Mapping[str, Any], working_folder: str) -> dict[str, Any]:
    """Of a run that starts here. Without a place for the secret there is no seal."""
    secret = _secret(make=True)
    return {} if secret is None else {ORIGIN: _seal(secret, code_names(config), working_folder)}


def is_own(ledger: Ledger) -> bool:
    secret, recorded = _secret(make=False), ledger.fact(ORIGIN)
    if secret is None or not isinstance(recorded, str):
        return False
    names = code_names(ledger.fact("config"))
    return hmac.compare_digest(recorded, _seal(secret, names, ledger.fact(WORKING_FOLDER) or ""))


def code_names(config: Mapping[str, Any]) -> list[str]:
    """What a configuration, in plain values, names as `package.module:Class`, in options of tasks too."""
    suites = [{"name": suite} if isinstance(suite, str) else suite for suite in config["finals"]["ood"]]
    sections = [config[name] for name in ("task", "proposer", "executor", "engine")]
    named = {section["name"] for section in (*sections, config["screening"]["algorithm"], *suites)}
    options = [text for task in (config["task"], *suites) for text in texts(task.get("options"))]
    return sorted({name for name in named if ":" in name} | {text for text in options if _CODE.fullmatch(text)})


def _seal(secret: bytes, names: list[str], working_folder: str) -> str:
    return hmac.new(secret, json.dumps([names, working_folder]).encode(), hashlib.sha256).hexdigest()


def _secret(*, make: bool) -> bytes | None:
    """None where there is none, or it can be neither read nor made."""
    state = os.environ.get("XDG_STATE_HOME")
    path = (Path(state) if state else Path("~/.local/state").expanduser()) / "reward-search" / "secret"
    try:
        if make and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "wb") as file:
                file.write(secrets.token_bytes(32))
        found = path.read_bytes()
    except (OSError, RuntimeError):
        return None
    return found if len(found) == 32 else None
