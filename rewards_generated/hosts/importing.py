"""A file of rewards turned into modules of one reward each, with an ensemble of all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.gate import static_check
from rewards_generated.hosts.forms import HOSTS
from rewards_generated.hosts.reading import ReadReward, module_of, read_file, read_rewards, split_name

ENSEMBLE_FILE = "ensemble.toml"


@dataclass(frozen=True, slots=True)
class Imported:
    names: tuple[str, ...]
    """Of the modules that were written."""
    lines: tuple[str, ...]
    """What became of every function, a sentence each."""


def import_file(text: str, folder: Path) -> Imported:
    """Writes `NAME.py` for every reward of `FILE.py` (or the one of `FILE.py:NAME`), and `ensemble.toml` with all.

    Raises UserError where the file cannot be read, the folder is not empty, or a named reward is none.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not an empty folder; import into another one")
    path, name = split_name(text)
    file = read_file(path)
    lines: list[str] = []
    written: dict[str, ReadReward] = {}
    if name is not None:
        candidates = [(read_rewards(text)[0], name)]
    else:
        candidates = [(module_of(file, found), HOSTS[found.form]) for found in file.rewards]
        lines += [f"{other.name}: not taken: {other.reason}" for other in file.others]
    for reward, form in candidates:
        problems = [check.message for check in static_check(reward.code) if not check.passed]
        if problems:
            lines.append(f"{reward.name}: not taken: {problems[0]}")
        else:
            written[reward.name] = reward
            lines.append(f"{reward.name}: {folder / reward.name}.py, from {form}")
    if not written:
        lines.append(f"{path}: no function became a reward")
        return Imported((), tuple(lines))
    folder.mkdir(parents=True, exist_ok=True)
    for reward in written.values():
        (folder / f"{reward.name}.py").write_text(_with_origin(reward), encoding="utf-8", newline="\n")
    members = tuple(Member(name=reward.name, code=_with_origin(reward)) for reward in written.values())
    Ensemble(name=folder.name, members=members).save(folder / ENSEMBLE_FILE)
    lines.append(f"{folder / ENSEMBLE_FILE}: their sum; check them with `reward-search validate {folder}/*.py`")
    return Imported(tuple(written), tuple(lines))


def _with_origin(reward: ReadReward) -> str:
    return f"# Imported from {reward.origin}.\n{reward.code}"
