"""The card of an exported ensemble: what it rewards, how it was found, its figures, its weaknesses, its licence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rewards_generated.base import base_rewards
from rewards_generated.contract import docstring
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.export.source import reads_prompt
from rewards_generated.gate.verdict import Verdict
from rewards_generated.identity import identity, parse
from rewards_generated.library import library_codes

_LIBRARY_FIELD = re.compile(r"^(family|role):.*$", re.MULTILINE)
_SHOWN_CHECKS = ("auc", "prefers_wrong", "length")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the card's table of figures; these are text with their intervals."""

    entry: str
    split: str
    accuracy: str
    f1: str
    questions: int
    seeds: int
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an ensemble comes from, in sentences and figures; nothing of it is computed here."""

    found: Sequence[str]
    """How it was found, a sentence each."""
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    """What must be said beside the figures."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Member → who wrote it, such as the model's name."""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    """Member → what its author said that it rewards."""


def card(ensemble: Ensemble, verdicts: Mapping[str, Verdict], provenance: Provenance | None) -> str:
    """README.md in Markdown. `verdicts`: the gate's, by member; base rewards have none."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"prose": _prose, "code": _code}
    template = environment.from_string((Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8"))
    origins = provenance.origins if provenance else {}
    descriptions = provenance.descriptions if provenance else {}
    members = ensemble.members
    return template.render(
        ensemble=ensemble,
        frozen=ensemble.aggregation == "zscore",
        grouped=ensemble.aggregation == "group_normalised",
        members=[
            (member, _first_paragraph(descriptions.get(member.name) or _description(ensemble, member)))
            for member in members
        ],
        provenance=provenance,
        gate=[(member.name, *_findings(verdicts[member.name])) for member in members if member.name in verdicts],
        base=[f"`{member.name}`" for member in members if member.is_base],
        names=[member.name for member in members],
        weights=[f"{member.weight:g}" for member in members],
        seeing_groups=[f"`{_code(name)}`" for name in ensemble.seeing_groups],
        scheduled=[f"`{_code(name)}`" for name in ensemble.scheduled],
        readers=[f"`{_code(member.name)}`" for member in members if reads_prompt(member)],
        asking=[f"`{_code(member.name)}`" for member in members if member.asks_worked_solution],
        written=[(member.name, origins.get(member.name)) for member in members if not _is_ours(ensemble, member)],
    )


def _findings(verdict: Verdict) -> tuple[int, list[str], list[str]]:
    """Number of checks, what is doubtful, and the figures of the passed checks that tell of hacks."""
    attacks = [check for check in verdict.checks if check.name.startswith("attack_")]
    reaching = [check.message for check in attacks if check.passed and check.value]
    if attacks and not reaching:
        reaching = [f"with the base rewards, none of {len(attacks)} attacks reaches a right answer to any question"]
    others = [check.message for check in verdict.checks if check.passed and check.name in _SHOWN_CHECKS]
    return len(verdict.checks), list(verdict.warnings), [*reaching, *others]


def _is_ours(ensemble: Ensemble, member: Member) -> bool:
    """A base reward, or one of the starter library, to the letter of its code."""
    return member.is_base or member.identity in {
        identity(code) for code in library_codes(ensemble.answer_format).values()
    }


def _description(ensemble: Ensemble, member: Member) -> str:
    if member.code is None:
        return base_rewards(ensemble.answers)[member.name].__doc__ or ""
    return _LIBRARY_FIELD.sub("", docstring(parse(member.code)))


def _first_paragraph(text: str) -> str:
    return text.strip().partition("\n\n")[0]


def _prose(text: str) -> str:
    """On one line, without anything that Markdown or HTML would take for its own."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """For a code span or block: on one line, without what would end it."""
    return re.sub(r"[`|]", "", " ".join(text.split()))
