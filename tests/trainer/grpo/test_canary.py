"""Rollouts that do not come from what is trained end the run; those drawn with other probabilities are weighed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from eval.engines.base import Adapter, GenerationEngine, LiveAdapters, Rollouts, Sampling
from eval.engines.policy import Policy
from eval.engines.stacked_adapters import StackedAdapters
from eval.engines.transformers_engine import TransformersEngine
from rewards_generated.errors import UserError
from tests.trainer.grpo.packs import exact_policy, member_run, scoring_of
from tests.trainer.tiny import Sums, write_policy
from trainer.grpo.training import Training
from trainer.jobs.train import TrainJob

GRPO: dict[str, Any] = {"steps": 4, "prompts_per_step": 2, "generations": 4}


class CopyingEngine(TransformersEngine):
    """Decodes with a copy of the policy and of the adapters, as an engine in another process does.

    `stale`: adapters that it no longer takes over after the first time. `crossed`: it gives the adapters' places in
    the wrong order. `shift`: what it adds to the log-probabilities of rollouts.
    """

    def __init__(self, policy: Policy, *, stale: Sequence[int] = (), crossed: bool = False, shift: float = 0.0) -> None:
        super().__init__(Policy(copy.deepcopy(policy.model), policy.tokenizer, policy.source, policy.format))
        self.stale, self.crossed, self.shift = stale, crossed, shift
        self.mine: StackedAdapters | None = None

    def refresh(self, adapters: LiveAdapters | None) -> None:
        if not isinstance(adapters, StackedAdapters):
            return
        first = self.mine is None
        if self.mine is None:
            self.mine = StackedAdapters(self.policy.model, adapters.config, adapters.count)
        for place in range(adapters.count):
            if first or place not in self.stale:
                source = adapters.count - 1 - place if self.crossed else place
                self.mine.set_state(place, adapters.state(source))
        super().refresh(self.mine)

    def log_probabilities(
        self, contexts: Sequence[Sequence[int]], tokens: Sequence[int], adapters: Sequence[Adapter]
    ) -> list[float]:
        rows = zip(contexts, tokens, adapters, strict=True)
        return [self._logps(context, [token], adapter, 1.0)[0] for context, token, adapter in rows]

    def rollouts(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> Rollouts:
        completions = self.complete(prompts, sampling, adapters, draws)
        rows = zip(prompts, completions, adapters, strict=True)
        found = [self._logps(prompt, ids, adapter, sampling.temperature) for prompt, ids, adapter in rows]
        return completions, [[value + self.shift for value in row] for row in found]

    def _logps(
        self, context: Sequence[int], tokens: Sequence[int], adapter: Adapter, temperature: float
    ) -> list[float]:
        assert self.mine is not None
        assert isinstance(adapter, int)
        self.mine.assign([adapter])
        with torch.no_grad():
            logits = self.policy.model(torch.tensor([[*context, *tokens]])).logits[0, len(context) - 1 : -1]
        every = torch.log_softmax(logits / temperature, dim=-1)
        found: list[float] = every.gather(1, torch.tensor(tokens)[:, None])[:, 0].tolist()
        return found


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


def run_of(base: Path, folder: Path, engine: Any = CopyingEngine, loss: str = "grpo", **options: Any) -> Training:
    grpo = {**GRPO, "loss": loss, **options.pop("grpo", {})}
    jobs = [member_run(base, name, scale, grpo=grpo) for name, scale in (("one", 1.0), ("two", -1.0))]
    policy = exact_policy(base)
    weights = options.pop("importance_weights", "none")
    made: GenerationEngine = engine(policy, **options) if engine is CopyingEngine else engine(policy)
    made.importance_weights = weights
    return Training(TrainJob.of(*jobs), policy, made, Sums({}), [scoring_of(job) for job in jobs], folder)


def state(run: Training, member: int) -> dict[str, torch.Tensor]:
    assert isinstance(run.tuned, StackedAdapters)
    return run.tuned.state(member)


def apart(first: Training, second: Training) -> float:
    return max(
        float((weight - state(second, member)[name]).abs().max())
        for member in (0, 1)
        for name, weight in state(first, member).items()
    )


def test_an_engine_that_follows_trains_as_the_trainers_own_model_does(base: Path, tmp_path: Path) -> None:
    own, copied = run_of(base, tmp_path / "own", TransformersEngine), run_of(base, tmp_path / "copied")
    own.train()
    copied.train()
    assert apart(own, copied) < 1e-12
    assert all(0 <= entry["sampling_gap_max"] < 1e-6 for entry in copied.curves(1))
    assert all("sampling_gap_max" not in entry for entry in own.curves(1))


class RestingEngine(CopyingEngine):
    """Notes what it is asked, one letter each."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.asked = ""

    def refresh(self, adapters: LiveAdapters | None) -> None:
        super().refresh(adapters)
        self.asked += "w"

    def rest(self) -> None:
        self.asked += "r"

    def log_probabilities(self, *arguments: Any) -> list[float]:
        self.asked += "c"
        return super().log_probabilities(*arguments)

    def rollouts(self, *arguments: Any) -> Rollouts:
        self.asked += "g"
        return super().rollouts(*arguments)


def test_an_engine_rests_once_a_step_s_rollouts_are_drawn_and_is_asked_nothing_until_the_step_is_over(
    base: Path, tmp_path: Path
) -> None:
    run = run_of(base, tmp_path, RestingEngine)
    run.train()
    assert isinstance(run.engine, RestingEngine)
    assert run.engine.asked == "w" + "gccr" + "wcc" + "gr" + "w" + "gr" + "w" + "gr" + "w" + "w"


@pytest.mark.parametrize(
    "wrong", [{"stale": (0, 1)}, {"stale": (1,)}, {"crossed": True}], ids=["all", "one", "crossed"]
)
def test_an_engine_that_stays_behind_ends_the_run(base: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    run = run_of(base, tmp_path, **wrong)
    with pytest.raises(UserError, match=r"does not sample from the adapters in training: by step [12] the"):
        run.train()


def test_before_the_weights_have_moved_nothing_is_said(base: Path, tmp_path: Path) -> None:
    """A warm-up begins with a learning rate of 0, after which an engine that follows looks like one that does not."""
    warm = {"warmup_fraction": 0.5, "learning_rate_schedule": "constant"}
    run_of(base, tmp_path / "follows", grpo=warm).train()
    with pytest.raises(UserError, match=r"by step [23] the"):
        run_of(base, tmp_path / "stale", grpo=warm, stale=(0, 1)).train()


@pytest.mark.parametrize("weights", ["token_truncate", "sequence_truncate"])
def test_a_loss_is_weighed_by_the_ratio_of_the_probabilities(base: Path, tmp_path: Path, weights: str) -> None:
    """Rollouts that claim to have been drawn with e^0.1 of the trainer's probabilities count e^-0.1 per token; those
    with e^-9 count 3, where the ratio is cut off. The clipped gradient does not see it, so it is not clipped."""
    grpo = {"steps": 1, "max_gradient_norm": 1e9}

    def norms(**options: Any) -> float:
        run = run_of(base, tmp_path / str(len(list(tmp_path.iterdir()))), grpo=grpo, loss="dr_grpo", **options)
        run.train()
        return float(run.curves(0)[0]["gradient_norm"])

    plain = norms(shift=0.1)
    assert norms(shift=-9.0, importance_weights=weights) == pytest.approx(3 * plain, rel=1e-6)
    weighed = norms(shift=0.1, importance_weights=weights)
    if weights == "token_truncate":
        assert weighed == pytest.approx(plain * 2.718281828**-0.1, rel=1e-5)
    else:
        assert weighed < plain * 2.718281828**-0.1


def test_the_gap_is_in_the_curves(base: Path, tmp_path: Path) -> None:
    run = run_of(base, tmp_path, shift=0.25)
    run.train()
    for entry in run.curves(0):
        assert entry["sampling_gap_mean"] == pytest.approx(0.25, abs=1e-5)
        assert entry["sampling_gap_max"] == pytest.approx(0.25, abs=1e-5)
