"""An ensemble as a folder that imports nothing of this project and plugs into TRL, verl, OpenRLHF and verifiers.

export_ensemble(rewards_generated.load("NAME"), Path("my_reward"))
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.export.card import Figure, Provenance, card
from rewards_generated.export.source import reward_source
from rewards_generated.export.verification import require_same_scores
from rewards_generated.gate import GateSettings, Verdict, static_check
from rewards_generated.gate.members import check_member
from rewards_generated.rollout import Rollout
from rewards_generated.sandbox.settings import SandboxSettings

__all__ = ["Figure", "Provenance", "export_ensemble"]

REWARD_FILE, ENSEMBLE_FILE, CARD_FILE = "reward.py", "ensemble.toml", "README.md"


def export_ensemble(
    ensemble: Ensemble,
    folder: Path,
    *,
    verdicts: Mapping[str, Verdict] | None = None,
    provenance: Provenance | None = None,
    settings: GateSettings | None = None,
    sandbox: SandboxSettings | None = None,
    rollouts: Sequence[Rollout] | None = None,
) -> Path:
    """Writes `reward.py`, `ensemble.toml` and a card, all or nothing, and returns the folder.

    What was written is scored in a fresh, sealed process, on `rollouts` of the base policy (None: constructed ones), on
    attacks and on odd text, and must give what the gated code gives there.

    Only members that the gate accepted are taken. `verdicts`: by member, those known; a member without one is
    put through the gate now, in the sandbox. All are checked again by the static policy. `settings`: the gate's limits.
    Raises UserError where a member is refused, where the folder is neither new nor empty, or where no trainer could
    follow the ensemble: `group_normalised` with a schedule. Raises SandboxUnavailable as the gate does.
    """
    require_empty(folder)
    if ensemble.scheduled and ensemble.aggregation == "group_normalised":
        raise UserError(
            f"ensemble {ensemble.name!r} is not exported: the weight of {', '.join(map(repr, ensemble.scheduled))} has "
            "a schedule, and trainers that normalise each reward by itself hold its weight constant; choose "
            "aggregation 'sum' or 'zscore'"
        )
    known = dict(verdicts or {})
    settings = settings or GateSettings()
    for member in ensemble.members:
        if member.code is not None:
            known[member.name] = _accepted(ensemble, member, known.get(member.name), settings, sandbox)
    texts = {REWARD_FILE: reward_source(ensemble), CARD_FILE: card(ensemble, known, provenance)}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            prepared = Path(temporary) / "folder"
            prepared.mkdir()
            ensemble.save(prepared / ENSEMBLE_FILE, found=provenance.found if provenance else ())
            for name, text in texts.items():
                (prepared / name).write_text(text, encoding="utf-8", newline="\n")
            require_same_scores(ensemble, prepared / REWARD_FILE, rollouts, sandbox)
            prepared.rename(folder)  # also onto an empty folder
    except OSError as error:
        require_empty(folder)
        raise UserError(f"{folder} cannot be written: {error.strerror}; export to another folder") from None
    return folder


def require_empty(folder: Path) -> None:
    """Raises UserError if there is anything at that place: an export never overwrites."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise UserError(f"{folder} exists and is not an empty folder; export to another one")


def _accepted(
    ensemble: Ensemble, member: Member, verdict: Verdict | None, settings: GateSettings, sandbox: SandboxSettings | None
) -> Verdict:
    assert member.code is not None
    where = f"member {member.name!r} of ensemble {ensemble.name!r}"
    failed = [item for item in static_check(member.code, settings) if not item.passed]
    if failed:
        raise UserError(f"{where} is not exported, the static policy refuses it: {failed[0].message}")
    if verdict is None:
        verdict = check_member(member, settings, sandbox=sandbox)
    elif verdict.identity != member.identity:
        raise UserError(f"{where} is not exported: the gate's verdict is of other code")
    if not verdict.accepted:
        raise UserError(f"{where} is not exported, the gate rejected it: {'; '.join(verdict.reasons)}")
    return verdict
