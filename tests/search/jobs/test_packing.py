"""Searches whose training runs go off in packs: the same results, written down beforehand, halved where too large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rewards_generated.errors import UserError
from search.config.names import BASE_ONLY
from search.config.seeds import screening_seeds
from search.config.source import parse_config
from search.jobs.descriptions import screening_run
from search.jobs.packing import train_runs
from search.ledger import Ledger, PackRecord
from tests.search.instant import PackingExecutor, PackingInterruptedOnce
from tests.search.searches import run_search, small_config
from trainer.jobs.train import TrainJob


def packing(pack: Any, executor: str = "PackingExecutor", parallel_jobs: int = 1, **options: Any) -> dict[str, Any]:
    return {
        "name": f"tests.search.instant:{executor}",
        "pack": pack,
        "parallel_jobs": parallel_jobs,
        "options": options,
    }


def records(run: Path, stage: Any = "screening") -> list[PackRecord]:
    ledger = Ledger.open(run)
    try:
        return ledger.packs(stage)
    finally:
        ledger.close()


def outcomes(run: Path) -> dict[tuple[str, str, int], tuple[str | None, str]]:
    """What became of each job: its failure and its digest."""
    ledger = Ledger.open(run)
    try:
        return {
            (stage, job.subject, job.seed): (job.failure, job.digest)
            for stage in ("screening", "retraining")
            for job in ledger.jobs(stage)
        }
    finally:
        ledger.close()


def names(record: PackRecord) -> list[str]:
    return [member.ensemble.name for member in record.job.members]


def test_a_packed_search_has_the_jobs_and_the_leaderboard_of_one_without(tmp_path: Path) -> None:
    screening = {"seeds": 2}
    assert run_search(tmp_path, name="plain", screening=screening)[0] == 0
    code, run = run_search(tmp_path, name="packed", screening=screening, executor=packing(3))
    assert code == 0
    assert outcomes(run) == outcomes(tmp_path / "plain")
    assert len(outcomes(run)) > 10
    packs = records(run)
    # Three subjects over two seeds in the first round, two in the second.
    assert [len(record.job.members) for record in packs] == [3, 3, 2, 2]
    assert {record.outcome for record in packs} == {"done"}
    assert {record.outcome for record in records(run, "retraining")} == {"done"}
    assert (run / "leaderboard.json").is_file()


def test_without_packs_every_run_is_a_job_of_its_own(tmp_path: Path) -> None:
    code, run = run_search(tmp_path)
    assert code == 0
    alone = records(run) + records(run, "retraining")
    assert len(alone) == len(outcomes(run)) - 1, "the untrained base is no run"
    assert {(len(record.job.members), record.outcome) for record in alone} == {(1, "done")}


def test_a_pack_that_is_too_large_is_halved_and_nothing_else_runs_again(tmp_path: Path) -> None:
    search = {"rounds": 1, "candidates_per_round": 4}
    code, run = run_search(tmp_path, search=search, executor=packing(5, holds=2))
    assert code == 0
    packs = records(run)
    assert [(len(record.job.members), record.outcome) for record in packs] == [
        (5, "too large"),
        (3, "too large"),
        (2, "done"),
        (2, "done"),
        (1, "done"),
    ]
    assert sorted(names(packs[0])) == sorted(names(packs[2]) + names(packs[3]) + names(packs[4]))
    assert all(failure is None for failure, _ in outcomes(run).values())


def test_a_pack_that_is_killed_runs_again_and_then_in_halves(tmp_path: Path) -> None:
    search = {"rounds": 1, "candidates_per_round": 3}
    code, run = run_search(tmp_path, search=search, executor=packing(4, lose="screening reward", lose_times=2))
    assert code == 0
    assert [len(pack.members) for pack in PackingExecutor.packs[:4]] == [4, 4, 2, 2]
    assert all(failure is None for failure, _ in outcomes(run).values())


def test_a_pack_that_is_killed_at_every_size_leaves_its_members_unscored(tmp_path: Path) -> None:
    search = {"rounds": 1, "candidates_per_round": 2}
    options = {"lose": "screening reward-100", "lose_times": 99}
    code, run = run_search(tmp_path, search=search, executor=packing(3, **options))
    assert code == 0
    failures = {subject: failure for (stage, subject, _), (failure, _) in outcomes(run).items() if stage == "screening"}
    assert [subject for subject, failure in failures.items() if failure] == ["reward-100"]


def test_an_interrupted_search_runs_the_packs_that_were_written_down(tmp_path: Path) -> None:
    PackingInterruptedOnce.pressed = False
    search = {"rounds": 1, "candidates_per_round": 4}
    changes = {"search": search, "executor": packing(3, "PackingInterruptedOnce")}
    code, run = run_search(tmp_path, **changes)
    assert code != 0
    before = records(run)
    assert [record.outcome for record in before] == ["done", None]
    code, run = run_search(tmp_path, "--resume", **changes)
    assert code == 0
    assert [(record.job, record.outcome) for record in records(run)] == [(record.job, "done") for record in before]
    assert PackingExecutor.packs[0] == before[1].job, "and the first pack did not run again"


@pytest.mark.parametrize("aggregation", ["sum", "zscore", "group_normalised"])
@pytest.mark.slow
def test_retraining_packs_mix_ensembles_and_seeds_but_not_steps(tmp_path: Path, aggregation: str) -> None:
    code, run = run_search(
        tmp_path,
        search={"rounds": 1, "candidates_per_round": 4},
        finals={"ensembles": ["top-2", "top-3"], "other_steps": 3, "seeds": 2, "aggregation": aggregation},
        executor=packing(9),
    )
    assert code == 0
    selected, apart, *controls = records(run, "retraining")
    names_and_seeds = {(member.ensemble.name, member.seed) for member in selected.job.members}
    seeds = {seed for _, seed in names_and_seeds}
    assert names_and_seeds == {(name, seed) for name in ("top-2", "top-3", "base-rewards-only") for seed in seeds}
    assert len(seeds) == 2
    assert {member.ensemble.name for member in apart.job.members} == {"top-4-at-3-steps"}
    assert ({member.grpo.steps for member in apart.job.members}, selected.job.shared.grpo.steps) == ({3}, 5)
    drawn = {member.ensemble.name for record in controls for member in record.job.members}
    assert drawn
    assert all(name.startswith("random-") for name in drawn)
    for record in (selected, apart, *controls):
        for member in record.job.members:
            assert member.ensemble.aggregation == aggregation
            assert all((part.mean is not None) == (aggregation == "zscore") for part in member.ensemble.members)


@pytest.mark.parametrize(("parallel_jobs", "sizes"), [(1, [5]), (2, [2, 3])])
@pytest.mark.slow
def test_automatic_packs_leave_work_to_every_process(tmp_path: Path, parallel_jobs: int, sizes: list[int]) -> None:
    search = {"rounds": 1, "candidates_per_round": 4}
    code, run = run_search(tmp_path, search=search, executor=packing("auto", parallel_jobs=parallel_jobs))
    assert code == 0
    assert [len(record.job.members) for record in records(run)] == sizes


def test_automatic_packs_are_no_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.grpo import memory

    full = memory.members_that_fit
    seen = []

    def two(job: Any, shape: Any, prompt_tokens: int, free_bytes: int) -> int:
        seen.append((shape.layers, prompt_tokens, full(job, shape, prompt_tokens, free_bytes)))
        return 2

    monkeypatch.setattr(memory, "members_that_fit", two)
    code, run = run_search(tmp_path, search={"rounds": 1, "candidates_per_round": 4}, executor=packing("auto"))
    assert code == 0
    assert [len(record.job.members) for record in records(run)] == [2, 1, 2]
    assert seen[0][0] == 3
    assert seen[0][1] > 10
    assert seen[0][2] > 2


@pytest.mark.parametrize(
    ("together", "advice"), [(4, "a smaller executor.pack, such as 2$"), (1, "screening.grpo.completions_per_forward$")]
)
def test_where_a_pack_is_not_halved_what_is_advised_is_allowed(tmp_path: Path, together: int, advice: str) -> None:
    config = parse_config(small_config())
    seeds = screening_seeds(config.seed, together)
    pack = TrainJob.of(*[screening_run(config, BASE_ONLY, None, seed) for seed in seeds])
    with pytest.raises(UserError, match=f"a pack is too large; free memory and try it again as it is, or .*{advice}"):
        list(train_runs(PackingExecutor(holds=0), [pack], tmp_path))


@pytest.mark.parametrize(
    ("executor", "screening", "sentence"),
    [
        ({"pack": 0}, {}, "executor.pack"),
        ({"pack": 4}, {"lora": {"dropout": 0.1}}, "lora.dropout = 0.1 cannot be packed"),
    ],
)
def test_what_cannot_run_packs_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    executor: dict[str, Any],
    screening: dict[str, Any],
    sentence: str,
) -> None:
    executor = {"name": "tests.search.instant:InstantExecutor", **executor}
    code, run = run_search(tmp_path, executor=executor, screening=screening)
    assert not run.exists(), "nothing was proposed"
    assert code == 2
    assert sentence in capsys.readouterr().err
