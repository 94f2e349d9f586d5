"""What a ledger says of how far its rankings can be trusted: families of tests, optimism, ranks, the base policy."""

from __future__ import annotations

from itertools import combinations

from eval.report.data import BaseSamples, RankingEvidence
from eval.report.evidence import base_samples, ranking_evidence
from eval.report.scores import Runs
from eval.tasks.base import Split
from search.config.models import SearchConfig
from search.config.names import UNTRAINED
from search.ledger import Finalist, Ledger, Stage
from search.results.ranking import complete_runs, final_seeds_of, seed_luck, seeds_of

Pairs = list[tuple[str, str]]

ENSEMBLES = "ensembles"
WINNER = "winner against controls"
OTHERS = "other pairs"


def screening_evidence(config: SearchConfig, ledger: Ledger) -> RankingEvidence | None:
    """Of the candidates whose screenings are whole; their best was picked from all of them."""
    select = config.search.select_on
    runs = {
        name: found
        for name in (candidate.name for candidate in ledger.candidates())
        if (found := complete_runs(ledger, "screening", name, seeds_of(config, ledger, name), select))
    }
    return ranking_evidence(runs, select, tuple(runs), luck=seed_luck(config, ledger))


def final_evidence(config: SearchConfig, ledger: Ledger) -> RankingEvidence | None:
    """Of the finalists on the split that ranks; the winner was picked from the ensembles among them."""
    finalists = [finalist for finalist in ledger.finalists() if finalist.listed_apart is None]
    eligible = [finalist.name for finalist in finalists if finalist.kind == "selected"]
    return ranking_evidence(
        final_runs(config, ledger, finalists, config.search.select_on),
        config.search.select_on,
        eligible,
        luck=seed_luck(config, ledger),
    )


def unseen_evidence(config: SearchConfig, ledger: Ledger) -> RankingEvidence | None:
    """The same on the test split, where nothing was picked; None where the test split itself ranked."""
    if config.search.select_on == "test":
        return None
    finalists = [finalist for finalist in ledger.finalists() if finalist.listed_apart is None]
    return ranking_evidence(final_runs(config, ledger, finalists, "test"), "test", luck=seed_luck(config, ledger))


def final_runs(config: SearchConfig, ledger: Ledger, finalists: list[Finalist], split: Split) -> dict[str, Runs]:
    """By finalist, of those that are trained themselves and whole on that split."""
    return {
        finalist.name: found
        for finalist in finalists
        if finalist.same_as is None and (found := trained_runs(config, ledger, finalist.name, split))
    }


def trained_runs(config: SearchConfig, ledger: Ledger, finalist: str, split: Split) -> Runs | None:
    """Of one that is trained itself; None unless all its seeds have been evaluated on that split."""
    stage: Stage = "retraining" if split == config.search.select_on else "test"
    return complete_runs(ledger, stage, finalist, final_seeds_of(config, finalist), split)


def families(finalists: list[Finalist], winner: str | None) -> dict[str, Pairs]:
    """Families of pairwise tests, each corrected by itself: all pairs of ensembles (21 of seven), the winner against
    every control, and what is left. They follow from the configuration and from a winner that was named before the
    test split was opened, so they are declared before the data that they are tested on."""
    ensembles = [finalist.name for finalist in finalists if finalist.kind == "selected"]
    controls = [finalist.name for finalist in finalists if finalist.kind == "control"]
    declared: dict[str, Pairs] = {ENSEMBLES: list(combinations(ensembles, 2))}
    if winner in ensembles:
        declared[WINNER] = [(winner, control) for control in controls]
    others = [(ensemble, control) for ensemble in ensembles for control in controls if ensemble != winner]
    declared[OTHERS] = others + list(combinations(controls, 2))
    return {name: pairs for name, pairs in declared.items() if pairs}


def sampled_base(config: SearchConfig, ledger: Ledger) -> BaseSamples | None:
    """Of the base rollouts on train questions; None before they are made."""
    runs = ledger.predictions("base-rollouts", UNTRAINED, "train")
    predictions = next(iter(runs.values()), [])
    return base_samples(predictions, "train", config.search.base_rollouts.temperature)
