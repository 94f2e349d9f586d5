"""Proposals without a language model: drawn from the starter library, mutated, and crossed.

The embedded default, and the control for language models: what blind variation with the same feedback gives. In
round 1 it draws uniformly, controls of the library included, since a search must be able to find them bad. Later it
chooses parents by rank, or uniformly from the library where there is no feedback. Where a search proposes sets, each
reward gets a random arrangement: weight, schedule, what it replaces, and now and then a second reward beside it.
Rewards that see whole groups are no parents: it writes and changes rewards of one completion alone.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from pydantic import Field

from eval.tasks.testbed.draws import Draws
from rewards_generated.answers import AnswerFormat
from rewards_generated.contract import docstring, sees_groups
from rewards_generated.identity import identity, parse
from rewards_generated.reward_set import candidate_identity
from search.proposers.base import Proposal, ProposalBatch, ProposalRequest
from search.proposers.evolution.arrangement import arranged_set, codes_of, described
from search.proposers.replies.reply import readable_name
from search.proposers.replies.source import code_problem
from search.proposers.settings import ProposerSettings

REFLECTION = "reflection"
_ATTEMPTS = 80
"""Per proposal; most attempts succeed, the rest are duplicates, too long, or without a place for the change."""
_SUFFIX = re.compile(
    r"(_(tuned|bounded|linked|aggregated|worded|gated|capped|scaled|saturated|damped|negated))?_[0-9a-f]{4,8}$"
)


class EvolveSettings(ProposerSettings):
    """Options of `evolve`."""

    library_share: float = Field(default=0.25, ge=0, le=1)
    """After round 1: share of proposals drawn fresh from the library, as far as it has unused ones."""
    crossover_share: float = Field(default=0.25, ge=0, le=1)
    """After round 1: share of proposals that join two parents; the rest are mutations of one."""
    structural_share: float = Field(default=0.4, ge=0, le=1)
    """Share of mutations that wrap the whole reward (gate, cap, scale) instead of changing something inside it."""
    rank_decay: float = Field(default=0.75, gt=0, le=1)
    """Weight of a parent relative to the one ranked before it; 1 chooses uniformly."""
    longest_code: int = Field(default=8000, ge=1000)
    """Longest offspring, in characters."""


@dataclass(frozen=True, slots=True)
class Parent:
    name: str
    code: str
    family: str
    identity: str
    weight: float


class EvolveProposer:
    """See the module. The same request gives the same proposals."""

    name = "evolve"
    Settings = EvolveSettings

    def __init__(self, settings: EvolveSettings | None = None) -> None:
        self.settings = settings or EvolveSettings()

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        """Fewer than `request.count` only where nothing new can be found in many attempts."""
        return ProposalBatch(tuple(_Generation(request, self.settings).proposals()))


class _Generation:
    """One round in the making."""

    def __init__(self, request: ProposalRequest, settings: EvolveSettings) -> None:
        self.request = request
        self.settings = settings
        self.draws = Draws(f"evolve {request.round} {request.seed}")
        self.library = library_parents(request.answer_format)
        self.parents: Sequence[Parent] = [
            Parent(item.name, code, item.family, item.identity, settings.rank_decay**place)
            for place, item in enumerate(request.feedback.ranked)
            for code in codes_of(item.code, request.proposes)
            if code_problem(code) is None and not sees_groups(code)
        ] or self.library
        self.keywords = _library_keywords(request.answer_format)
        self.identities = set(request.known_identities)
        self.names = set(request.feedback.names)

    def proposals(self) -> list[Proposal]:
        found: list[Proposal] = []
        for _ in range(self.request.count):
            reflections = sum(item.family == REFLECTION for item in found)
            missing = self.request.count - len(found)
            forced = missing <= self.request.reflection_minimum - reflections
            proposal = self._one(REFLECTION if forced else None)
            if proposal is not None:
                found.append(proposal)
        return found

    def _one(self, family: str | None) -> Proposal | None:
        point = self.draws.chance(self.settings.library_share)
        if (self.request.round == 1 or point) and (proposal := self._from_library(family)) is not None:
            return proposal
        for _ in range(_ATTEMPTS):
            crossing = self.request.round > 1 and self.draws.chance(self.settings.crossover_share)
            proposal = self._crossover(family) if crossing else self._mutation(family)
            if proposal is not None:
                return proposal
        return self._from_library(family)

    def _from_library(self, family: str | None) -> Proposal | None:
        unused = [
            item for item in self.library if item.identity not in self.identities and family in (None, item.family)
        ]
        if not unused:
            return None
        item = self.draws.choice(unused)
        return self._accepted(Proposal(item.name, item.code, "library", _about(item.code), item.family))

    def _mutation(self, family: str | None) -> Proposal | None:
        import libcst as cst

        from search.proposers.evolution.composition import wrapped
        from search.proposers.evolution.mutation import changed
        from search.proposers.evolution.syntax import with_docstring

        parent = self._parent(family)
        if parent is None:
            return None
        module = cst.parse_module(parent.code)
        if self.draws.chance(self.settings.structural_share):
            composition = wrapped(module, self.draws)
            if composition is None:
                return None
            verb, description = composition.verb, composition.description
            code = composition.source(_child_docstring(f"Variant of `{parent.name}`: {description}.", parent))
        else:
            change = changed(module, self.draws, self.keywords)
            if change is None:
                return None
            verb, description = change.verb, change.description
            code = with_docstring(
                change.module, _child_docstring(f"Variant of `{parent.name}`: {description}.", parent)
            )
        return self._child(code, f"{_stem(parent.name)}_{verb}", "mutation", description, parent.family, (parent,))

    def _crossover(self, family: str | None) -> Proposal | None:
        import libcst as cst

        from search.proposers.evolution.composition import joined

        first, second = self._parent(family), self._parent(None)
        if first is None or second is None or first.identity == second.identity:
            return None
        composition = joined(cst.parse_module(first.code), cst.parse_module(second.code), self.draws)
        summary = f"Cross of `{first.name}` and `{second.name}`: {composition.description}."
        code = composition.source(_child_docstring(summary, first, second))
        names = (_stem(item.name)[:20].rstrip("_") for item in (first, second))
        name = f"_{composition.verb}_".join(names)
        either = REFLECTION if REFLECTION in (first.family, second.family) else first.family
        return self._child(code, name, "crossover", composition.description, either, (first, second))

    def _parent(self, family: str | None) -> Parent | None:
        """By rank among the parents, or among the library where no parent is of the wanted family."""
        pool = [item for item in self.parents if family in (None, item.family)]
        pool = pool or [item for item in self.library if family in (None, item.family)]
        if not pool:
            return None
        return pool[self.draws.weighted({place: item.weight for place, item in enumerate(pool)})]

    def _child(
        self,
        code: str | None,
        name: str,
        origin: str,
        description: str,
        family: str,
        parents: Sequence[Parent],
    ) -> Proposal | None:
        from search.proposers.evolution.syntax import undefined_names

        if code is None or len(code) > self.settings.longest_code or code_problem(code) or undefined_names(code):
            return None
        return self._accepted(
            Proposal(
                f"{name}_{identity(code)[:4]}",
                code,
                origin,
                f"{' and '.join(item.name for item in parents)}: {description}",
                family,
                tuple(item.identity for item in parents),
            )
        )

    def _accepted(self, proposal: Proposal) -> Proposal | None:
        """Notes its identity and name; None if either is taken. Where sets are proposed, it is arranged as one."""
        if self.request.proposes == "reward_set":
            others = [item.code for item in self.library if item.code != proposal.code]
            arranged = arranged_set(proposal.code, others, self.request.base_rewards, self.draws)
            about = f"{proposal.description} ({described(arranged)})"
            proposal = replace(proposal, code=arranged.text(), description=about)
        digest = candidate_identity(proposal.code, self.request.proposes)
        assert digest is not None
        if digest in self.identities or proposal.name in self.names:
            return None
        self.identities.add(digest)
        self.names.add(proposal.name)
        return proposal


@cache
def library_parents(form: AnswerFormat) -> tuple[Parent, ...]:
    """Every reward of the starter library in the answer format, controls too, all of the same weight."""
    from rewards_generated.library import load_library

    return tuple(Parent(item.name, item.code, item.family, identity(item.code), 1.0) for item in load_library(form))


@cache
def _library_keywords(form: AnswerFormat) -> tuple[str, ...]:
    from search.proposers.evolution.mutation import keywords_of

    return tuple(sorted({word for item in library_parents(form) for word in keywords_of(item.code)}))


def _stem(name: str) -> str:
    """The name without what an earlier mutation added, so that names do not grow with the generations."""
    return _SUFFIX.sub("", readable_name(name))[:40].rstrip("_")


def _child_docstring(summary: str, *parents: Parent) -> str:
    """What was changed, and below it what the first ancestors reward."""
    about = " ".join(dict.fromkeys(_about(parent.code) for parent in parents))
    return "\n\n".join(textwrap.fill(text, 108) for text in (summary, about[:600]) if text)


def _about(code: str) -> str:
    """One paragraph: of a hand-written reward the first of its docstring, of an offspring the last."""
    paragraphs = [" ".join(text.split()) for text in docstring(parse(code)).split("\n\n")]
    offspring = paragraphs[0].startswith(("Variant of `", "Cross of `"))
    return re.sub(r"\s*\b(family|role): \S+", "", paragraphs[-1 if offspring else 0]).strip()[:300]
