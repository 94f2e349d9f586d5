"""Greedy forward selection and decorrelated ensembles: what is tried, what is taken, what a resume redoes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from scipy import stats

from search.cli import main
from search.config.models import SearchConfig
from search.config.plan import plan
from search.config.seeds import greedy_seeds, retraining_seeds, screening_seeds
from search.config.source import parse_config
from search.finals.ensembles import decorrelated
from search.ledger import Candidate, Finalist, Ledger, Milestone
from search.proposers.base import Proposal, ProposalBatch, ProposalRequest
from search.results.notes import notes
from search.results.ranking import outcomes, ranked
from tests.search.instant import InstantExecutor, PackingExecutor
from tests.search.searches import run_search, small_config
from trainer.jobs.base import Done, Job
from trainer.jobs.train import TrainJob

SEARCH = {"rounds": 2, "candidates_per_round": 4, "base_rollouts": {"questions": 20, "per_question": 8}}
GREEDY = {"size_limit": 3, "short_list": 2, "least_gain": 0.0}
FINALS = {"ensembles": ["top-2", "decorrelated-3", "greedy"], "greedy": GREEDY, "seeds": 1}
SEED = 4
"""One under which something gains, and then nothing does."""
LIKE = ("mixed-1", "mixed-1-like")
"""Ranked almost the same by both."""


def code(factor: int, extra: str = "0.0") -> str:
    return (
        "def reward(prompt: str, completion: str, answer: str) -> float:\n"
        '    """Pays for the right answer, and for some numbers of equations more than for others."""\n'
        "    right = 1.0 if f'<solution>{answer}</solution>' in completion else 0.0\n"
        "    equations = completion.count('=')\n"
        f"    return right + equations * {factor} % 11 / 5 + {extra}\n"
    )


class MixedProposer:
    """Rewards that rank rollouts in ways of their own, but for one that is like another."""

    name = "mixed"

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        first = request.round * request.count - request.count + 1
        rewards = {f"mixed-{factor}": code(factor) for factor in range(first, first + request.count)}
        if request.round == 2:
            rewards.popitem()
            rewards[LIKE[1]] = code(1, "0.02 * (equations % 2)")
        return ProposalBatch(tuple(Proposal(name, text, "test", family="x") for name, text in rewards.items()))


class InterruptedInGreedy(InstantExecutor):
    """The user presses Ctrl-C after the third short run."""

    pressed: ClassVar[bool] = False
    tried: ClassVar[list[str]] = []

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        for done in super().run(jobs, folder):
            yield done
            if done.job.label.startswith("trying"):
                self.tried.append(done.job.label)
                if len(self.tried) == 3 and not InterruptedInGreedy.pressed:
                    InterruptedInGreedy.pressed = True
                    raise KeyboardInterrupt


class PackingInterruptedInGreedy(PackingExecutor):
    """The user presses Ctrl-C when the pack of the second member is about to start."""

    pressed: ClassVar[bool] = False
    labels: ClassVar[list[str]] = []

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        for job in jobs:
            if isinstance(job, TrainJob):
                second = all(" + " in member.ensemble.name for member in job.members)
                if second and not PackingInterruptedInGreedy.pressed:
                    PackingInterruptedInGreedy.pressed = True
                    raise KeyboardInterrupt
                self.labels.extend(member.label for member in job.members)
            yield self._done(job, folder)


def mixed_search(folder: Path, *arguments: str, **changes: Any) -> tuple[int, Path]:
    settings: dict[str, Any] = {
        "seed": SEED,
        "search": SEARCH,
        "finals": FINALS,
        "proposer": {"name": "tests.search.finals.test_greedy:MixedProposer"},
    }
    return run_search(folder, *arguments, **{**settings, **changes})


class Reading:
    """What a test reads from a run."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def __enter__(self) -> Reading:
        self.ledger = Ledger.open(self._run)
        self.config = parse_config(self.ledger.fact("config"))
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()

    @property
    def selected(self) -> Milestone:
        found = self.ledger.milestone("greedy_selected")
        assert found is not None
        return found

    @property
    def finalists(self) -> dict[str, Finalist]:
        return {item.name: item for item in self.ledger.finalists()}

    def score(self, subject: str) -> float:
        """Mean accuracy of a trial over its seeds, from the recorded predictions."""
        runs = self.ledger.predictions("greedy", subject, "validation").values()
        assert len(runs) == self.config.greedy_seeds
        return sum(sum(item.correct for item in answers) / len(answers) for answers in runs) / len(runs)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    exit_code, folder = mixed_search(tmp_path_factory.mktemp("greedy"), screening={"seeds": 2})
    assert exit_code == 0
    return folder


def test_every_member_is_the_best_of_what_was_tried(run: Path) -> None:
    with Reading(run) as found:
        members = found.selected.detail["members"]
        path = found.selected.detail["path"]
        best = None
        for place, step in enumerate(path):
            scores = {name: found.score(" + ".join([*members[:place], name])) for name in step["tried"]}
            assert scores == pytest.approx(step["tried"])
            assert len(scores) == 2
            top = max(scores, key=lambda name: scores[name])
            if best is None or scores[top] >= best:
                assert step["added"] == top == members[place]
                best = scores[top]
            else:
                assert step["added"] is None
                assert place == len(path) - 1
        assert [step["added"] is None for step in path] == [False, False, True]
        assert found.finalists["greedy"].candidates == tuple(members)
        assert found.finalists["greedy"].kind == "selected"


def test_short_runs_have_seeds_of_their_own_and_end_before_anything_is_retrained(run: Path) -> None:
    with Reading(run) as found:
        seeds = {job.seed for job in found.ledger.jobs("greedy")}
        assert seeds == set(greedy_seeds(SEED, 2))
        assert not seeds & {*screening_seeds(SEED, 9), *retraining_seeds(SEED, 9)}
        stages = [job.stage for job in found.ledger.jobs()]
        assert max(k for k, stage in enumerate(stages) if stage == "greedy") < stages.index("retraining")
        splits = {item.split for item in found.ledger.evaluations("greedy")}
        assert splits == {"validation"}


def test_a_short_list_holds_the_best_screened_and_the_best_agreeing(run: Path) -> None:
    with Reading(run) as found:
        order = [outcome.candidate for outcome in ranked(outcomes(found.config, found.ledger))]
        first = list(found.selected.detail["path"][0]["tried"])
        assert first[0] == order[0].name
        # By hand: the advantages of base rewards + candidate against those of bare correctness.
        assert first[1] == max(
            (candidate.name for candidate in order if candidate.name != first[0]),
            key=lambda name: agreement(found, name),
        )


def agreement(found: Reading, name: str) -> float:
    from eval.prescreener import base_totals
    from search.config.checks import checked_task
    from search.rounds.base_policy import rollouts_of

    predictions = found.ledger.completions(found.ledger.evaluations("base-rollouts")[0])
    rollouts = rollouts_of(checked_task(found.config), predictions)
    scores = found.ledger.prescreening_scores()[name]
    base = base_totals(found.config.search.base_rewards, rollouts)
    sides: tuple[list[float], list[float]] = ([], [])
    for start in range(0, len(rollouts), 8):
        group = range(start, start + 8)
        for side, values in zip(
            sides,
            ([base[k] + (scores[k] or 0.0) for k in group], [float(rollouts[k].correct) for k in group]),
            strict=True,
        ):
            mean = sum(values) / 8
            deviation = (sum((value - mean) ** 2 for value in values) / 7) ** 0.5
            side += [(value - mean) / (deviation + 1e-4) for value in values]
    return float(stats.pearsonr(*sides).statistic)


def test_decorrelated_members_are_unlike_and_the_best_that_are(run: Path) -> None:
    with Reading(run) as found:
        order = [outcome.candidate.name for outcome in ranked(outcomes(found.config, found.ledger))]
        scores = found.ledger.prescreening_scores()
        members = found.finalists["decorrelated-3"].candidates

    def like(first: str, second: str) -> float:
        return abs(float(stats.spearmanr(scores[first], scores[second]).statistic))

    assert like(*LIKE) > 0.9
    taken: list[str] = []
    for name in order:
        if all(like(name, other) < 0.7 for other in taken) and len(taken) < 3:
            taken.append(name)
    assert members == tuple(taken)


def candidates(count: int) -> list[Candidate]:
    return [Candidate(f"c{k}", 1, k, f"id{k}", code(k), "test", "", "x", ()) for k in range(count)]


def test_the_walk_down_the_ranking() -> None:
    alike = {("c0", "c1"): -0.8, ("c0", "c2"): 0.5, ("c2", "c3"): 0.7, ("c2", "c4"): 0.1, ("c0", "c4"): -0.2}

    def correlation(first: Candidate, second: Candidate) -> float:
        return alike.get((first.name, second.name), alike.get((second.name, first.name), 0.0))

    def names(size: int, bound: float) -> list[str]:
        return [item.name for item in decorrelated(candidates(5), size, bound, correlation)]

    assert names(3, 0.7) == ["c0", "c2", "c4"]  # c1 is the opposite of c0, and c3 is just at the bound
    assert names(3, 0.71) == ["c0", "c2", "c3"]
    assert names(2, 0.4) == ["c0", "c3"]
    assert names(4, 0.7) == []


@pytest.mark.slow
def test_nothing_is_added_that_gains_too_little(tmp_path: Path) -> None:
    exit_code, folder = mixed_search(tmp_path, finals={**FINALS, "greedy": {**GREEDY, "least_gain": 0.9}})
    assert exit_code == 0
    with Reading(folder) as found:
        assert len(found.selected.detail["members"]) == 1
        assert [step["added"] is None for step in found.selected.detail["path"]] == [False, True]
        assert "none then gained 0.900 of accuracy" in " ".join(notes(found.config, found.ledger))


@pytest.mark.slow
def test_what_was_not_scored_is_not_added(tmp_path: Path, run: Path) -> None:
    with Reading(run) as found:
        members = found.selected.detail["members"]
    exit_code, folder = mixed_search(
        tmp_path, screening={"seeds": 2}, executor={"options": {"fail": f"trying {' + '.join(members[:2])},"}}
    )
    assert exit_code == 0
    with Reading(folder) as found:
        step = found.selected.detail["path"][1]
        assert step["tried"][members[1]] is None
        assert step["added"] != members[1]


@pytest.mark.slow
def test_without_any_scored_trial_greedy_is_not_formed(tmp_path: Path) -> None:
    exit_code, folder = mixed_search(tmp_path, executor={"options": {"fail": "trying"}})
    assert exit_code == 0
    with Reading(folder) as found:
        assert "greedy" not in found.finalists
        said = " ".join(notes(found.config, found.ledger))
        assert "none could be scored" in said
        assert "Not formed, for lack of scored candidates that qualify: greedy." in said


@pytest.mark.slow
def test_an_interrupted_selection_resumes_to_the_same_end_and_tries_nothing_twice(tmp_path: Path, run: Path) -> None:
    InterruptedInGreedy.pressed = False
    InterruptedInGreedy.tried.clear()
    executor = {"name": "tests.search.finals.test_greedy:InterruptedInGreedy"}
    exit_code, folder = mixed_search(tmp_path, screening={"seeds": 2}, executor=executor)
    assert exit_code == 130
    assert len(InterruptedInGreedy.tried) == 3
    assert main(["run", "--run-dir", str(folder), "--resume"]) == 0
    with Reading(run) as whole, Reading(folder) as resumed:
        assert resumed.selected.detail == whole.selected.detail
        assert len(InterruptedInGreedy.tried) == len(set(InterruptedInGreedy.tried)) == whole.selected.detail["runs"]
    board = "leaderboard.json"
    assert (folder / board).read_text(encoding="utf-8") == (run / board).read_text(encoding="utf-8")


@pytest.mark.slow
def test_packed_short_runs_come_to_the_same_members(tmp_path: Path, run: Path) -> None:
    executor = {"name": "tests.search.instant:PackingExecutor", "pack": 8}
    exit_code, folder = mixed_search(tmp_path, screening={"seeds": 2}, executor=executor)
    assert exit_code == 0
    with Reading(run) as plain, Reading(folder) as packed:
        assert packed.selected.detail == plain.selected.detail
        packs = packed.ledger.packs("greedy")
        assert [len(record.job.members) for record in packs] == [4] * len(packed.selected.detail["path"])
        assert {record.outcome for record in packs} == {"done"}


@pytest.mark.slow
def test_packs_of_a_later_step_wait_for_it_in_a_resumed_search(tmp_path: Path, run: Path) -> None:
    PackingInterruptedInGreedy.pressed = False
    PackingInterruptedInGreedy.labels.clear()
    executor = {"name": "tests.search.finals.test_greedy:PackingInterruptedInGreedy", "pack": 8}
    exit_code, folder = mixed_search(tmp_path, screening={"seeds": 2}, executor=executor)
    assert exit_code == 130
    assert main(["run", "--run-dir", str(folder), "--resume"]) == 0
    labels = PackingInterruptedInGreedy.labels
    assert len(labels) == len(set(labels))
    with Reading(run) as whole, Reading(folder) as resumed:
        assert resumed.selected.detail == whole.selected.detail
        assert {record.outcome for record in resumed.ledger.packs("greedy")} == {"done"}


@pytest.mark.parametrize("aggregation", ["zscore", "group_normalised"])
@pytest.mark.slow
def test_trials_are_aggregated_as_the_ensembles_are(tmp_path: Path, aggregation: str) -> None:
    executor = {"name": "tests.search.instant:PackingExecutor", "pack": 4}
    exit_code, folder = mixed_search(tmp_path, finals={**FINALS, "aggregation": aggregation}, executor=executor)
    assert exit_code == 0
    with Reading(folder) as found:
        tried = [member.ensemble for record in found.ledger.packs("greedy") for member in record.job.members]
        assert {ensemble.aggregation for ensemble in tried} == {aggregation}
        assert found.finalists["greedy"].ensemble.members in [ensemble.members for ensemble in tried]


def test_its_cost_is_planned_and_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Reading(run) as found:
        runs = len(found.ledger.jobs("greedy"))
        assert 0 < runs <= plan(found.config).greedy_runs == 2 * 3 * 2
        without = plan(settings(ensembles=["top-2", "decorrelated-3"]))
        with_greedy = plan(settings(ensembles=["top-2", "decorrelated-3", "greedy"], greedy={**GREEDY, "steps": 7}))
        retraining = found.config.final_steps * found.config.finals.seeds
        assert with_greedy.steps - without.steps == 6 * 7 + retraining
        assert f"chosen by {runs} short training runs of 5 steps" in " ".join(notes(found.config, found.ledger))
    capsys.readouterr()
    assert main(["status", str(run)]) == 0
    assert f"greedy selection: {runs} short runs ended; mixed-" in capsys.readouterr().out
    config = tmp_path / "search.yaml"
    config.write_text(json.dumps(small_config(finals=FINALS)), encoding="utf-8")
    assert main(["run", "--config", str(config), "--dry-run"]) == 0
    assert "6 short runs of greedy selection" in capsys.readouterr().out


def settings(**finals: Any) -> SearchConfig:
    return parse_config(small_config(search=SEARCH, finals={**FINALS, **finals}))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["decorrelated-0"], "is no ensemble; choose from top-N"),
        (["decorrelated-N"], "needs a number for N, such as decorrelated-5"),
        (["greedy", "greedy"], "is listed twice"),
    ],
)
def test_names_that_are_none(names: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code, _ = run_search(tmp_path, finals={"ensembles": names})
    assert exit_code == 2
    assert said in capsys.readouterr().err
