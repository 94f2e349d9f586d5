"""Ask and tell: the open question of a run, and a person's answer to it."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rewards_generated.errors import UserError
from search.config.source import parse_config
from search.driver.origin import start_folder
from search.ledger import Ledger, driver_lock
from search.ledger.salvage import require_unaltered
from search.proposers.base import LanguageModelCall
from search.proposers.manual import MODEL
from search.rounds.inputs import require_same_inputs


@dataclass(frozen=True, slots=True)
class Question:
    round: int
    prompt: str


def open_question(folder: Path) -> Question:
    """Raises UserError if the run waits on none."""
    with closing(Ledger.open(folder)) as ledger:
        return _question(ledger, folder)


def waits_for(folder: Path, prompt: str) -> bool:
    """Whether the open question of the run is that one."""
    with closing(Ledger.open(folder)) as ledger:
        asked = ledger.fact("question")
        return asked is not None and asked["prompt"] == prompt


def record_answer(folder: Path, file: Path, *, trust: bool = False) -> int:
    """The text of the file, `-` for stdin, as the reply to the open question; returns its round. Raises UserError."""
    if not Ledger.exists(folder):
        Ledger.open(folder)
    reply = _read(file)
    if not reply.strip():
        raise UserError(f"the answer {file} is empty; write the candidates that `reward-search ask {folder}` asks for")
    place = folder.absolute()
    with driver_lock(folder), closing(Ledger.open(place, write=True)) as ledger:
        require_unaltered(ledger)
        question = _question(ledger, folder)
        with start_folder(ledger, folder, trust=trust):
            require_same_inputs(parse_config(ledger.fact("config")), ledger, folder)
        ledger.record_answer(question.round, LanguageModelCall(MODEL, question.prompt, reply))
        return question.round


def _question(ledger: Ledger, folder: Path) -> Question:
    asked = ledger.fact("question")
    if asked is not None:
        return Question(asked["round"], asked["prompt"])
    if ledger.milestone("finished"):
        raise UserError(f"{folder} is finished and waits on no answer; see `reward-search leaderboard {folder}`")
    proposer = ledger.fact("config")["proposer"]["name"]
    if proposer != "manual":
        raise UserError(f"{folder} has the proposer {proposer!r} and asks nobody; only `manual` waits for answers")
    raise UserError(f"{folder} has no open question yet; `reward-search run --run-dir {folder} --resume` goes on to it")


def _read(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"the answer {file} cannot be read: {error.strerror}") from None
