"""The winner and the base rewards alone under other losses or on another base policy: does the lead hold there?"""

from __future__ import annotations

from rewards_generated.errors import UserError
from search.config.checks import base_model_fingerprint
from search.config.names import BASE_ONLY
from search.config.plan import transfer_runs
from search.finals.greedy import train_missing
from search.jobs.descriptions import transfer_run
from search.ledger import Finalist, Stage
from search.results.ranking import final_seeds_of
from search.session import Run

STAGE: Stage = "transfer"
BASES = "transfer_base_models"
"""The fact that holds the fingerprints of the other base policies."""


def train_transfer(run: Run, winner: Finalist | None) -> None:
    """After all has been chosen and the test split opened: these runs answer it, and decide nothing.

    Raises UserError if the files of another base policy changed since its first run.
    """
    config, ledger = run.config, run.ledger
    if not config.finals.transfer:
        return
    if winner is None:
        run.progress.skip_steps(transfer_runs(config) * config.final_steps)
        return
    require_same_bases(run)
    pair = [winner, next(item for item in ledger.finalists() if item.name == BASE_ONLY)]
    jobs = [
        transfer_run(config, finalist, setting, seed)
        for setting in config.finals.transfer
        for finalist in pair
        for seed in final_seeds_of(config, finalist.name)
    ]
    train_missing(run, STAGE, "the winner under other settings", jobs, config.final_steps)


def require_same_bases(run: Run) -> None:
    others = {setting.base_model for setting in run.config.finals.transfer if setting.base_model}
    found = {name: base_model_fingerprint(name, "finals.transfer") for name in sorted(others)}
    known = run.ledger.fact(BASES)
    if known is None:
        run.ledger.record_fact(BASES, found)
    elif changed := [name for name in found if found[name] != known[name]]:
        raise UserError(
            f"the files of `finals.transfer` base_model = {changed[0]!r} changed since it was first trained on; "
            "restore them, or start a new search"
        )
