"""From a proposer's batch to candidates: names that are unique, nothing known, nothing beyond what was asked."""

from __future__ import annotations

from collections.abc import Sequence

from rewards_generated.base import BASE_REWARDS
from rewards_generated.errors import UserError
from rewards_generated.reward_set import candidate_identity, read_set
from search.config.names import BASE_ONLY, UNTRAINED
from search.ledger import Candidate
from search.proposers.base import ProposalBatch, ProposalRequest, UnusableItem

LONGEST_NAME = 60
EXCERPT = 400


def ingest(
    batch: ProposalBatch, request: ProposalRequest, earlier: Sequence[Candidate]
) -> tuple[list[Candidate], list[UnusableItem]]:
    """The candidates of the round, and everything that did not become one with its reason.

    A proposer should not propose what is known or more than was asked for; one that does is not believed.
    """
    names = {*BASE_REWARDS, BASE_ONLY, UNTRAINED, *(candidate.name for candidate in earlier)}
    known = set(request.known_identities)
    unusable = [UnusableItem(item.reason, _text(item.detail), _text(item.excerpt)) for item in batch.unusable]
    candidates: list[Candidate] = []
    for proposal in batch.proposals:
        code = _text(proposal.code)
        try:
            digest = candidate_identity(code, request.proposes)
            _require_replaceable(code, request)
        except UserError as error:
            unusable.append(UnusableItem("malformed", _text(f"{proposal.name!r}: {error}"), code[:EXCERPT]))
            continue
        if digest in known:
            detail = f"{proposal.name!r} is the same as an earlier candidate"
            unusable.append(UnusableItem("duplicate", _text(detail), code[:EXCERPT]))
            continue
        if len(candidates) == request.count:
            detail = f"{proposal.name!r}: more candidates than were asked for"
            unusable.append(UnusableItem("surplus", _text(detail), code[:EXCERPT]))
            continue
        if digest is not None:
            known.add(digest)
        name = _unique(proposal.name, names)
        names.add(name)
        candidates.append(
            Candidate(
                name=name,
                round=request.round,
                position=len(candidates),
                identity=digest,
                code=code,
                origin=_text(proposal.origin),
                description=_text(proposal.description),
                family=_text(proposal.family),
                parents=proposal.parents,
                kind=request.proposes,
            )
        )
    return candidates, unusable


def _require_replaceable(code: str, request: ProposalRequest) -> None:
    """Raises UserError for a set that replaces a base reward which the search does not use."""
    if request.proposes == "reward_set":
        read_set(code).require_replaceable(request.base_rewards)


def _unique(name: str, taken: set[str]) -> str:
    name = "".join(c if c.isprintable() else " " for c in _text(name)).strip()[:LONGEST_NAME] or "unnamed"
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique


def _text(text: str) -> str:
    """Without lone surrogates, which a JSON reply can hold and no file can."""
    return text.encode("utf-8", "replace").decode("utf-8")
