"""Groups, masks, advantages and the loss of two layers, against plain counting and plain torch.

Two questions, three responses each, H = 2, on rollouts that are written by hand.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import torch

from eval.engines.base import Rollouts
from eval.engines.transformers_engine import TransformersEngine
from eval.second_turn import second_question
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.rollout import Sample
from rewards_generated.score import Score
from rewards_generated.scorer import EnsembleScorer
from tests.trainer.grpo.packs import exact_policy
from tests.trainer.multilayer.runs import read_prompts_once
from tests.trainer.tiny import Sums, training_run, write_policy
from trainer.algorithms import algorithm_of
from trainer.grpo.arguments import dataset_row, prompt_batches
from trainer.grpo.training import Training
from trainer.jobs.train import TrainingRun, TrainJob


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


class Table:
    """A reward that is looked up, and remembers what it was asked."""

    def __init__(self, values: dict[str, float]) -> None:
        self.values = values
        self.seen: list[Sample] = []

    def score(self, samples: list[Sample], groups: object = None) -> list[Score]:
        self.seen += samples
        return [Score(self.values[sample.completion]) for sample in samples]

    def close(self) -> None: ...


def solution(number: int, words: str = "") -> str:
    return f"{words} <solution> {number} </solution>".strip()


class HandMade:
    """One step on two questions. Per question three responses, and per response two corrections, all different."""

    def __init__(self, base: Path, folder: Path, first_right: list[bool], **multilayer: Any) -> None:
        """`first_right`: of the six responses, which are right."""
        ensemble = Ensemble(name="table", members=(Member(name="table", code="# table"),))
        self.job: TrainingRun = training_run(
            base,
            ensemble=ensemble,
            grpo={"steps": 1, "prompts_per_step": 2, "generations": 3, "beta": 0.2, **multilayer.pop("grpo", {})},
            algorithm={"name": "multilayer", "options": {"corrections": 2, **multilayer}},
        )
        [self.questions] = prompt_batches(self.job, Sums({}).examples("train"))
        self.policy = exact_policy(base)
        gold = [int(example.answer) for example in self.questions for _ in range(3)]
        fillers = ["so", "wait", "check", "so so", "wait so", "check so"]
        self.responses = [
            solution(answer if right else (answer + 1) % 19, words)
            for answer, right, words in zip(gold, first_right, fillers, strict=True)
        ]
        self.first_rewards = [0.0, 1.0, 5.0, 2.0, 2.0, 8.0]
        self.corrections = [
            solution(number, words) for number, words in zip(range(12), ["+", "?", "+ +", "? +"] * 3, strict=True)
        ]
        self.second_rewards = [1.0, 4.0, 0.0, 0.0, 3.0, -2.0, 7.0, 1.0, 2.0, 9.0, 5.0, 6.0]
        values = dict(zip(self.responses, self.first_rewards, strict=True))
        values.update(zip(self.corrections, self.second_rewards, strict=True))
        self.table = Table(values)
        scorer = EnsembleScorer(ensemble, worker=lambda code, settings: self.table)
        scoring = algorithm_of(self.job.algorithm).scoring(self.job, scorer, Sums({}))
        job, engine = TrainJob.of(self.job), TransformersEngine(self.policy)
        self.run = Training(job, self.policy, engine, Sums({}), [scoring], folder)
        read_prompts_once(self.run._trainer)
        self.prompts: dict[int, list[list[int]]] = {}
        self.run._trainer._rollouts = self._rollouts
        self.run._trainer.model.train()
        self.batch = self.run._trainer._generate_and_score_completions(
            [{**dataset_row(example), "member": 0} for example in self.questions for _ in range(3)]
        )

    def _rollouts(self, prompts: list[list[int]], members: list[int], step: int, layer: int = 1) -> Rollouts:
        self.prompts[layer] = prompts
        texts = self.responses if layer == 1 else self.corrections
        return [[*self.policy.tokenizer(text)["input_ids"], 1] for text in texts], None

    def expected_prompt(self, response: int) -> str:
        return second_question(self.questions[response // 3].question, self.responses[response])


ALL_RIGHT, MIXED = [True] * 6, [False, True, False, True, True, True]


def advantages(rewards: list[float], size: int) -> list[float]:
    """TRL's: centred on the group's mean, divided by its standard deviation (n - 1) and 1e-4."""
    found = []
    for start in range(0, len(rewards), size):
        group = rewards[start : start + size]
        found += [(reward - mean(group)) / (stdev(group) + 1e-4) for reward in group]
    return found


def test_every_response_goes_on_and_each_is_a_group(base: Path, tmp_path: Path) -> None:
    made = HandMade(base, tmp_path, MIXED)
    assert [sample.prompt for sample in made.table.seen[6:]] == [
        made.expected_prompt(response) for response in range(6) for _ in range(2)
    ]
    expected = advantages(made.first_rewards, 3) + advantages(made.second_rewards, 2)
    assert made.batch["advantages"].tolist() == pytest.approx(expected, rel=1e-5)
    decoded = made.policy.tokenizer.batch_decode(made.prompts[2])
    assert decoded[0] == f"<user> {' '.join(made.expected_prompt(0).split())} <assistant>".replace(
        "Earlier:", "<unknown>"
    ).replace("Where might this be wrong?", "<unknown> <unknown> <unknown> <unknown> <unknown>")


def test_masks_cover_each_layer_s_own_tokens(base: Path, tmp_path: Path) -> None:
    made = HandMade(base, tmp_path, MIXED)
    texts = [*made.responses, *made.corrections]
    lengths = [len(text.split()) + 1 for text in texts]
    assert made.batch["completion_mask"].sum(1).tolist() == lengths
    assert made.batch["num_items_in_batch"] == sum(lengths)
    prompts = [len(prompt) for layer in (1, 2) for prompt in made.prompts[layer]]
    assert made.batch["prompt_mask"].sum(1).tolist() == prompts
    for row, (prompt, length) in enumerate(zip(made.prompts[1] + made.prompts[2], lengths, strict=True)):
        assert made.batch["prompt_ids"][row, -len(prompt) :].tolist() == prompt
        words = made.policy.tokenizer.decode(made.batch["completion_ids"][row, : length - 1])
        assert words == texts[row]


def test_groups_of_a_question_hold_all_its_corrections(base: Path, tmp_path: Path) -> None:
    made = HandMade(base, tmp_path, MIXED, group="question")
    expected = advantages(made.first_rewards, 3) + advantages(made.second_rewards, 6)
    assert made.batch["advantages"].tolist() == pytest.approx(expected, rel=1e-5)


def test_wrong_responses_alone_fill_the_batch(base: Path, tmp_path: Path) -> None:
    """The second question has no wrong response: its places go to the first, whose two wrong ones are all there is."""
    made = HandMade(base, tmp_path, MIXED, select="wrong")
    asked = [sample.prompt for sample in made.table.seen[6:]]
    assert asked[::2] == asked[1::2]
    assert set(asked) == {made.expected_prompt(0), made.expected_prompt(2)}
    assert len(asked) == 12
    for half in (asked[:6], asked[6:]):
        assert {half.count(prompt) for prompt in set(half)} == {2, 4}, "each once before any twice"
    assert made.batch["completion_mask"].any(1).all()


def test_the_best_response_by_the_rewards_is_corrected(base: Path, tmp_path: Path) -> None:
    """Rewards 0, 1, 5 and 2, 2, 8: the third of each question, though the first question's is wrong."""
    made = HandMade(base, tmp_path, MIXED, select="best", corrections=6)
    asked = [sample.prompt for sample in made.table.seen[6:]]
    assert asked == [made.expected_prompt(2)] * 6 + [made.expected_prompt(5)] * 6
    expected = advantages(made.first_rewards, 3) + advantages(made.second_rewards, 6)
    assert made.batch["advantages"].tolist() == pytest.approx(expected, rel=1e-5)


def test_where_nothing_qualifies_the_layer_has_its_size_and_learns_nothing(base: Path, tmp_path: Path) -> None:
    made = HandMade(base, tmp_path, ALL_RIGHT, select="wrong")
    assert len(made.batch["advantages"]) == 18
    assert made.batch["advantages"][:6].tolist() == pytest.approx(advantages(made.first_rewards, 3), rel=1e-5)
    assert not made.batch["advantages"][6:].any()
    assert not made.batch["completion_mask"][6:].any()
    assert made.run.scoring.scorings[0].curve[1]["layer2"]["qualified"] == 0


def test_confirming_a_right_answer_can_be_left_without_reward(base: Path, tmp_path: Path) -> None:
    made = HandMade(base, tmp_path, MIXED, reward_confirming=False)
    rewards = list(made.second_rewards)
    gold = [example.answer for example in made.questions]
    confirming = 0
    for row in range(12):
        response = row // 2
        if MIXED[response] and str(row) == gold[response // 3]:
            rewards[row] = 0.0
            confirming += 1
    expected = advantages(made.first_rewards, 3) + advantages(rewards, 2)
    assert confirming == sum(
        MIXED[row // 2] and Sums({}).extract(made.corrections[row]).strict == gold[row // 6] for row in range(12)
    )
    assert made.batch["advantages"].tolist() == pytest.approx(expected, rel=1e-5)


def test_the_control_shows_responses_to_other_questions(base: Path, tmp_path: Path) -> None:
    made = HandMade(base, tmp_path, MIXED, control="random_response")
    for place, sample in enumerate(made.table.seen[6:]):
        own = place // 6
        assert sample.prompt.startswith(made.questions[own].question)
        others = made.responses[3:] if own == 0 else made.responses[:3]
        assert sample.prompt in {second_question(made.questions[own].question, other) for other in others}
        assert sample.answer == made.questions[own].answer


def test_curves_hold_the_figures_of_each_layer(base: Path, tmp_path: Path) -> None:
    made = HandMade(base, tmp_path, MIXED)
    entry = made.run.scoring.scorings[0].curve[1]
    right = [str(number) == made.questions[number // 6].answer for number in range(12)]
    pairs = [(MIXED[row // 2], now) for row, now in enumerate(right)]
    assert entry["layers"] == [1, 2]
    assert entry["accuracy"] == pytest.approx(4 / 6)
    assert entry["reward_mean"] == pytest.approx(mean(made.first_rewards))
    second = entry["layer2"]
    assert second["accuracy"] == pytest.approx(mean(right))
    assert second["earlier_accuracy"] == pytest.approx(4 / 6)
    assert second["corrected"] == pytest.approx(mean(now and not before for before, now in pairs))
    assert second["regressed"] == pytest.approx(mean(before and not now for before, now in pairs))
    assert second["completions"] == 12
    assert second["reward_mean"] == pytest.approx(mean(made.second_rewards))
    assert second["groups_without_spread"] == pytest.approx(1 / 6)
    [statistics] = made.run.scoring.scorings[0].statistics()
    every = made.first_rewards + made.second_rewards
    assert statistics.mean == pytest.approx(mean(every))
    assert statistics.calls == 18
    assert statistics.firing_rate == pytest.approx(mean(value != 0 for value in every))


@pytest.mark.parametrize("settings", [{}, {"group": "question"}, {"select": "wrong"}], ids=str)
def test_the_loss_is_that_of_plain_torch(base: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    """Clipped surrogate on the policy's own rollouts, length-normalised per sequence, plus beta times the KL term of
    GRPO (arXiv 2402.03300, equations 3 and 4) in its unbiased form (arXiv 2512.02556), averaged over all sequences of
    both layers."""
    made = HandMade(base, tmp_path, MIXED, **settings)
    trainer = made.run._trainer
    model = trainer.model
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".B"):
                parameter.normal_(std=0.2)
    trainer.current_gradient_accumulation_steps = 1
    model.train()
    found = trainer._compute_loss(model, made.batch)
    found.backward()
    gradient = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()

    rewards = [made.table.values[text] for text in made.corrections]
    size = 6 if settings.get("group") == "question" else 2
    expected_advantages = advantages(made.first_rewards, 3) + advantages(rewards, size)
    texts = [*made.responses, *made.corrections]
    losses = []
    for row, (prompt, text) in enumerate(zip(made.prompts[1] + made.prompts[2], texts, strict=True)):
        completion = [*made.policy.tokenizer(text)["input_ids"], 1]
        ids = torch.tensor([prompt + completion])

        def logps(ids: torch.Tensor = ids, prompt: list[int] = prompt) -> torch.Tensor:
            logits = model(ids).logits[0, len(prompt) - 1 : -1]
            return torch.log_softmax(logits, -1).gather(1, ids[0, len(prompt) :, None])[:, 0]

        made.run.tuned.assign([0])
        now = logps()
        made.run.tuned.assign(None)
        with torch.no_grad():
            reference = logps()
        ratio = torch.exp(now - now.detach())
        clipped = ratio.clamp(0.8, 1.2)
        worse = torch.min if expected_advantages[row] >= 0 else torch.max
        surrogate = worse(ratio, clipped)
        kl = ratio * (torch.exp(reference - now) - (reference - now) - 1)
        losses.append((-surrogate * expected_advantages[row] + 0.2 * kl).mean())
    expected = torch.stack(losses).mean()
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    assert found.item() > 0.01
    for name, value in gradient.items():
        reference_gradient = dict(model.named_parameters())[name].grad
        assert torch.allclose(value, reference_gradient, atol=1e-5), name
