"""What the ledger of a search gives its next question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.tasks.registry import build_task
from search.config.names import BASE_ONLY, UNTRAINED
from search.config.source import parse_config
from search.ledger import Ledger
from search.proposers.base import ProposalRequest
from search.proposers.evolution.evolve import EvolveProposer
from search.proposers.question.prompt import render_prompt
from search.proposers.settings import PromptSettings
from search.results.ranking import control_scores, outcomes, ranked, screening_scores
from search.rounds.base_policy import rollouts_of
from search.rounds.request import first_request, later_request
from tests.search.searches import run_search


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small: dict[str, Any] = {"search": {"rounds": 2, "candidates_per_round": 3}, "screening": {"control_seeds": 2}}
    finals = {"ensembles": ["top-2"], "seeds": 1, "random_controls": {"first_round": 0, "pool": 0}}
    code, folder = run_search(tmp_path_factory.mktemp("request"), finals=finals, **small)
    assert code == 0
    return folder


def asked(ledger: Ledger, number: int, feedback: str = "ranked") -> ProposalRequest:
    config = parse_config(ledger.fact("config"))
    told = config.search.model_copy(update={"feedback": feedback})
    config = config.model_copy(update={"search": told})
    task = build_task(config.task)
    rollouts = rollouts_of(task, ledger.completions(ledger.evaluations("base-rollouts")[0]))
    return later_request(config, task, ledger, number, rollouts)


def test_reference_points_are_those_of_the_ledger(ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    controls = control_scores(config, ledger)
    reference = asked(ledger, 2).reference
    assert reference is not None
    untrained, base_only = reference.scores
    for told, true in ((untrained, controls[UNTRAINED]), (base_only, controls[BASE_ONLY])):
        assert true is not None
        assert (told.f1, told.accuracy, told.accuracy_ends) == (
            true.f1.value,
            true.accuracy.value,
            (true.accuracy.low, true.accuracy.high),
        )
    assert (untrained.runs, base_only.runs, base_only.luck_known) == (0, 2, True)
    assert (reference.rounds, reference.runs, reference.steps, reference.questions) == (2, 1, 5, 40)
    assert (reference.prompts_per_step, reference.generations, reference.max_completion_tokens) == (2, 2, 16)
    assert reference.repeated_runs >= 2
    assert reference.by_luck is not None
    assert reference.deviation is not None
    assert reference.by_luck > 2 * reference.deviation


def test_before_anything_ran_only_what_is_known_is_told(ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    reference = first_request(config, build_task(config.task), 1, ()).reference
    assert reference is not None
    assert (reference.scores, reference.sampled_accuracy, reference.by_luck) == ((), None, None)
    assert (reference.steps, reference.questions) == (5, 40)


def test_the_first_round_knows_of_no_candidate(ledger: Ledger) -> None:
    request = asked(ledger, 1)
    assert request.feedback.proposed == ()
    assert request.known_identities == frozenset()


def test_independent_rounds_are_asked_the_first_question_again(ledger: Ledger) -> None:
    first, later = (asked(ledger, number, "independent") for number in (1, 2))
    assert len(later.known_identities) == len(later.feedback.names) == 3  # so that nothing is proposed twice
    questions = [render_prompt(replace(request, seed=0), PromptSettings()) for request in (first, later)]
    assert questions[0] == questions[1]
    assert "This is round 1 of 2." in questions[1]
    assert "base rewards only" not in questions[1].split("# The base rewards")[0].split("What it has to beat")[1]
    drawn = [{item.code for item in EvolveProposer().propose(request).proposals} for request in (first, later)]
    assert len(drawn[1] - drawn[0]) == 3


def test_arms_differ_only_in_results(ledger: Ledger) -> None:
    truth, nothing, shuffled = (asked(ledger, 2, arm) for arm in ("ranked", "none", "shuffled"))
    names = {candidate.name for candidate in ledger.candidates(1)}
    assert {item.name for item in truth.feedback.proposed} == names
    assert truth.feedback.proposed == nothing.feedback.proposed == shuffled.feedback.proposed
    assert truth.reference == nothing.reference == shuffled.reference
    assert truth.known_identities == nothing.known_identities == shuffled.known_identities
    blind = render_prompt(nothing, PromptSettings())
    for row in truth.feedback.ranked:
        assert row.name in blind
        assert f"{row.f1:.3f} [" not in blind.split("# Proposed so far")[1]
    assert {row.training for row in shuffled.feedback.ranked} == {row.training for row in truth.feedback.ranked}


def test_the_leader_is_measured_on_kinds_of_questions(ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    every = [outcome for outcome in outcomes(config, ledger) if outcome.candidate.round < 2]
    leader = ranked(every)[0].candidate.name
    scores = screening_scores(config, ledger, leader)
    assert scores is not None
    kinds = asked(ledger, 2).feedback.leader_kinds
    by_base = [kind for kind in kinds if kind.kind.startswith("the untrained policy")]
    assert [kind.untrained for kind in by_base] == [1.0, 0.0]
    assert sum(kind.questions for kind in by_base) == 40
    right = sum(kind.questions * kind.leader for kind in by_base)
    assert right == pytest.approx(40 * scores.accuracy.value)
    assert any(kind.kind.startswith("words in the question") for kind in kinds)
    assert any(kind.kind.startswith("steps = ") for kind in kinds)
    assert all(kind.questions >= 10 and kind.base_only is not None for kind in kinds)
