"""What a report shows, as plain data: the caller fills it from wherever its records lie."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from eval.prediction import Prediction
from eval.prescreening import PreScreening
from eval.statistics.estimate import Estimate
from eval.statistics.optimism import SelectionOptimism
from eval.statistics.pairwise import CochranResult
from eval.statistics.stability import RankInterval, RankSpread
from rewards_generated.schedule import Schedule


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scores(_Data):
    """Figures of one policy on one split, each with its interval. None: undefined or not measured, never 0."""

    n: int
    """Questions."""
    seeds: tuple[int, ...]
    """Training seeds whose runs were evaluated, one evaluation each."""
    accuracy: Estimate
    f1: Estimate
    precision: Estimate | None = None
    extraction_rate: Estimate | None = None
    accuracy_flexible: Estimate | None = None
    f1_flexible: Estimate | None = None
    precision_flexible: Estimate | None = None
    extraction_rate_flexible: Estimate | None = None
    mean_completion_tokens: float | None = None
    accuracy_by_seed: tuple[float, ...] = ()
    """In the order of `seeds`."""
    accuracy_seed_std: float | None = None
    """Standard deviation between seeds, with n - 1; None with a single one."""
    luck: Literal["questions", "both", "untrained"] = "questions"
    """What the intervals of accuracy and F1 hold: the choice of questions alone, the luck of training unknown; both; or
    questions alone because nothing was trained."""
    accuracy_halves: tuple[float, float] | None = None
    """Half widths in accuracy of the interval over questions and of that over seeds, where it holds both."""
    shrunken_accuracy: float | None = None
    """Expected true accuracy given all candidates, where some ran more often than others: what they rank by."""


class Setting(_Data):
    """One line of the run's settings, in the order and the words in which the report shows it."""

    name: str
    value: str


class Protocol(_Data):
    """How candidates and entries were trained and selected: what the methods paragraph is written from."""

    steps: int
    """Optimizer steps of a screening."""
    prompts_per_step: int
    generations: int
    """Completions per prompt: the size of a group."""
    max_completion_tokens: int
    learning_rate: float
    learning_rate_schedule: str
    temperature: float
    beta: float
    """Weight of the KL term."""
    loss: str
    lora_rank: int
    lora_alpha: int
    base_rewards: tuple[str, ...]
    screening_seeds: int
    selection_questions: int
    duplicate_correlation: float | None = None
    """From which on a candidate counted as a duplicate before training; None: none was left out for that."""
    final_steps: int
    aggregation: str


class RunFacts(_Data):
    """Where the report's numbers come from."""

    name: str
    folder: str = "RUN"
    """As the commands of the report name the run's folder."""
    task: str
    base_model: str
    selection_split: Literal["validation", "test"] = "validation"
    """`test` is shown as what it is: selection on the split that is reported."""
    config_digest: str | None = None
    seed: int | None = None
    state: Literal["finished", "running", "stopped"] = "finished"
    proposer: str | None = None
    feedback: str | None = None
    started: datetime | None = None
    finished: datetime | None = None
    test_opened: datetime | None = None
    """When the sealed test split was opened; None: it never was."""
    constructed_task: bool = False
    """The task and base policy were made so that reward design matters (the testbed); the report says so."""
    settings: tuple[Setting, ...] = ()
    """Training, screening and retraining settings worth reading."""
    changes: tuple[str, ...] = ()
    """What was set otherwise when the stopped search was resumed, a line each."""
    protocol: Protocol | None = None
    """The same for the methods paragraph; None: it leaves them out."""
    seconds: dict[str, float] = {}
    """Seconds of work by phase, jobs side by side added up: propose, gate, screen, evaluate, retrain."""
    llm_calls: int | None = None
    llm_tokens: int | None = None
    cost_usd: float | None = None
    """None: unknown."""
    versions: dict[str, str] = {}
    hardware: str | None = None
    gate: str | None = None
    """Sandbox level and interpreter under which candidates ran."""


class UnusableReply(_Data):
    """Something a proposer answered that did not become a candidate."""

    reason: str
    detail: str = ""


class Round(_Data):
    number: int
    requested: int | None = None
    unusable: tuple[UnusableReply, ...] = ()
    seconds: float | None = None
    """Of proposing."""
    screening_seconds: float | None = None
    """Of the training runs of its candidates, those side by side added up."""
    llm_calls: int | None = None
    llm_tokens: int | None = None
    cost_usd: float | None = None
    """None: unknown."""


class ProposingModel(_Data):
    """What was asked of one language model, and what became of its candidates."""

    name: str
    calls: int
    unanswered: int
    """Of the calls."""
    tokens: int
    cost_usd: float | None
    """None: unknown."""
    candidates: int
    accepted: int
    """By the gate."""
    mean: Estimate | None
    """F1 by which its scored candidates are ranked, over them; None: none is scored. `n`: how many."""
    best: str | None
    best_scores: Scores | None
    """Of its best candidate, the luckiest of so many."""


class GateCheck(_Data):
    name: str
    passed: bool
    enforced: bool = True
    """A failure rejects; otherwise it is a warning."""
    reason: str = ""


class Sample(_Data):
    """A completion seen in training or evaluation. All of it is untrusted text."""

    prompt: str
    completion: str
    answer: str
    step: int | None = None
    correct: bool | None = None
    total: float | None = None
    scores: dict[str, float | None] = {}


class Rollout(Sample):
    """One that a training run kept."""

    stage: str
    policy: str
    """Name of the candidate, entry or control that was trained."""
    seed: int


class Exchange(_Data):
    """One question to a language model, or to a person, and what came back. All of it is untrusted text."""

    round: int
    model: str
    prompt: str
    reply: str | None
    """None: none came."""
    error: str | None = None
    tokens: int = 0
    """Of prompt and reply."""
    cost_usd: float | None = None
    """None: unknown."""
    finish_reason: str = ""


class Flag(_Data):
    """A sign of reward hacking, with the figure that raised it."""

    name: str
    detail: str
    """The figures in words."""
    value: float | None = None
    threshold: float | None = None
    """That the value reached."""
    examples: tuple[Sample, ...] = ()


class MemberWeight(_Data):
    """Of one member of a reward set."""

    name: str
    weight: float
    """At the start of a run."""
    schedule: Schedule | None = None
    """How it changes over the run; None: it does not."""


class Candidate(_Data):
    """One proposed reward and everything that became of it."""

    name: str
    identity: str
    round: int
    status: Literal["screened", "rejected", "duplicate", "stopped", "failed", "pending"]
    """`rejected` by the gate; `duplicate`: like an earlier one before training; `stopped` after fewer steps than the
    others, by successive halving; `failed`: its run ended without a score; only `screened` ones are ever ranked."""
    code: str = ""
    family: str = ""
    origin: str = ""
    description: str = ""
    parents: tuple[str, ...] = ()
    """Identities."""
    checks: tuple[GateCheck, ...] = ()
    prescreening: PreScreening | None = None
    """Its figures on rollouts of the base policy, made before it was trained."""
    failure: str | None = None
    """Why it is unscored."""
    scores: Scores | None = None
    """On the selection split; None unless screened."""
    rung: int | None = None
    """Steps after which it was stopped."""
    rung_scores: Scores | None = None
    """On the selection split at that rung; never ranked with scores of other steps."""
    firing_rate: float | None = None
    weights: tuple[MemberWeight, ...] = ()
    """Of the members of a set of which any has a schedule."""
    curves: tuple[dict[str, Any], ...] = ()
    """One entry per logged step, with `step`; any other key with a number is a curve."""
    samples: tuple[Sample, ...] = ()
    flags: tuple[Flag, ...] = ()


class SuiteScores(_Data):
    """One entry on one out-of-distribution suite, and on the suite's matched controls within the distribution."""

    suite: str
    scores: Scores
    gain: Estimate | None
    """Accuracy minus that of the untrained base on the same questions."""
    matched: Scores | None = None
    """None where the suite has no matched controls."""
    matched_gain: Estimate | None = None
    gain_lost: Estimate | None = None
    """The gain on the matched controls minus that on the suite, pair by pair."""


class Transfer(_Data):
    """The winner and the base rewards alone, trained again under another setting, on the test split."""

    setting: str
    winner: Scores | None
    control: Scores | None
    """Of the base rewards alone. None: unscored."""
    difference: Estimate | None
    """Accuracy of the winner minus that of the control; None unless both are scored."""
    luck: Literal["setting", "search", "questions"]
    """Whose variance between seeds the interval holds: of these runs, of the search where none of these was repeated,
    or none, questions alone, where nothing was."""
    failure: str | None = None
    """Why one of them is unscored."""


class Entry(_Data):
    """One line of the final leaderboard: an ensemble, a single reward or a control, retrained."""

    name: str
    kind: Literal["ensemble", "single", "control"]
    control: str | None = None
    """Which control it is: `untrained base`, `base rewards only`, `random draw 1 of 5`, ..."""
    round: int | None = None
    """In which a single reward was proposed; it orders equal scores."""
    members: tuple[str, ...] = ()
    aggregation: str | None = None
    steps: int | None = None
    validation: Scores | None = None
    test: Scores | None = None
    winner: bool = False
    """Named on validation before the test split was opened."""
    listed_apart: str | None = None
    """Why it may not be ranked with the others (such as other steps); None: it is ranked."""
    failure: str | None = None
    """Why it is unscored."""
    validation_minus_test: Estimate | None = None
    """Difference in accuracy of the same trained policies; None unless both are known. For what was selected on
    validation it estimates the optimism of that selection, for the controls the difference of the questions alone."""
    suites: tuple[SuiteScores, ...] = ()
    """On out-of-distribution suites, which neither rank nor select anything."""
    transfer: tuple[Transfer, ...] = ()
    """Of the winner: under other losses or on other base policies, which rank and select nothing either."""


class PairwiseTest(_Data):
    """One pair of entries compared on the same questions."""

    first: str
    second: str
    first_only: int
    second_only: int
    difference: Estimate
    """Accuracy of the first minus that of the second."""
    p_value: float
    method: str
    bonferroni: float
    holm: float
    benjamini_hochberg: float | None = None
    equivalence_p: float | None = None
    """Of two one-sided tests with the table's margin."""
    seeds_difference: Estimate | None = None
    """The difference over all seeds of both; None with a single seed."""
    seeds_p: float | None = None
    """Two-sided p-value of no difference over seeds and questions."""
    seeds_holm: float | None = None
    """The same after Holm's correction; None unless every pair of the family has one."""
    detectable_difference: float | None = None
    """Difference in accuracy that McNemar's test finds with 80 % power at this number of questions and this share of
    discordant ones, uncorrected; None: none would be found, or no question is discordant."""
    family: str = ""
    """The family of tests within which its p-values are corrected; empty: the whole table is one."""

    def differs(self, alpha: float) -> bool:
        """After Holm's correction: for new seeds and questions where the luck of training is known, else of the two
        trained policies by McNemar's test."""
        return (self.holm if self.seeds_p is None else self.seeds_holm or self.seeds_p) <= alpha

    def is_equivalent(self, alpha: float, margin: float | None) -> bool:
        """Of the two trained policies by two one-sided tests, and, where the luck of training is known, with the whole
        interval for new seeds and questions within the margin."""
        if margin is None or self.equivalence_p is None or self.equivalence_p > alpha:
            return False
        over_seeds = self.seeds_difference
        return over_seeds is None or (-margin < over_seeds.low and over_seeds.high < margin)


class PairwiseTable(_Data):
    """Pairwise tests of one or more families declared beforehand."""

    split: Literal["validation", "test"]
    tests: tuple[PairwiseTest, ...]
    level: float = 0.05
    margin: float | None = None
    """Equivalence margin in accuracy."""
    note: str = ""
    cochran: CochranResult | None = None
    """Cochran's Q over `cochran_over`, one run each: that of the smallest seed."""
    cochran_over: tuple[str, ...] = ()


class RankedEntry(_Data):
    """How sure the place of one entry in a ranking is."""

    name: str
    resampled: RankSpread
    """Its rank, and the ranks it takes on resampled questions (and seeds)."""
    interval: RankInterval
    """Of its true rank; those of all entries hold together."""
    probability_best: float
    """That it is truly the best of the entries."""


class RankingEvidence(_Data):
    """How far a ranking by accuracy can be trusted."""

    split: Literal["validation", "test"]
    seeds: int
    """Runs per entry."""
    luck: Literal["questions", "both"] = "questions"
    """What probabilities and intervals of ranks hold: questions alone (the trained policies taken as given), or seeds
    too."""
    level: float
    entries: tuple[RankedEntry, ...]
    """Best first."""
    agreement: float | None
    """Mean Spearman correlation of the rankings by two halves of the questions (and by different runs): 1 all alike,
    near 0 chance."""
    optimism: SelectionOptimism | None = None
    """Of picking the best of those that could be picked on this split; None where this split picked nothing."""
    seed_optimism: SelectionOptimism | None = None
    """The same for new seeds as well; None with a single seed."""


class QuestionSamples(_Data):
    """How many samples of the base policy answered one question rightly."""

    right: int
    samples: int


class PassAtK(_Data):
    k: int
    estimate: Estimate
    """Share of questions with a right answer among k samples, over questions."""


class BaseSamples(_Data):
    """What the untrained base policy reaches by sampling: what training can reweight."""

    split: Literal["train", "validation", "test"]
    temperature: float
    questions: tuple[QuestionSamples, ...]
    mass: Estimate | None
    """Mean over questions of the base mass Q, the probability that a sample is right."""
    pass_at_k: tuple[PassAtK, ...]
    none_right: Estimate
    """Share of questions without a right sample."""
    all_right: Estimate
    """Share of questions without a wrong sample."""


class SeedLuck(_Data):
    """How runs of one recipe differ, pooled over those that were trained more than once."""

    deviation: float
    """Standard deviation between seeds, in accuracy."""
    low: float
    high: float
    """Of its 95 % interval."""
    recipes: int
    runs: int
    earlier_runs: int = 0
    """Of these runs, those of earlier searches."""


class AskedQuestion(_Data):
    id: str
    prompt: str | None = None
    """None: the text is not at hand, since the task would have to be loaded for it."""
    answer: str | None = None
    """The gold answer."""
    base: QuestionSamples | None = None
    """Samples of the untrained policy; None: it was not sampled on this question."""


class PolicyAnswers(_Data):
    """What one trained policy answered, in the order of the questions."""

    policy: str
    """Name of the candidate, entry or control."""
    seed: int
    predictions: tuple[Prediction, ...]


class AskedSplit(_Data):
    """Questions, and how policies of one stage answered them: one run of each, that of its smallest seed."""

    stage: Literal["screening", "finals"]
    split: Literal["validation", "test"]
    questions: tuple[AskedQuestion, ...]
    policies: tuple[PolicyAnswers, ...]


class SearchSummary(_Data):
    """What came of one search, to stand beside another."""

    name: str
    candidates: int
    scored: int
    by_round: tuple[tuple[float, ...], ...]
    """Accuracies of the scored candidates of each round."""
    split: str
    """That ranks."""
    first: str | None
    """Name of the candidate that stands first."""
    first_scores: Scores | None
    winner: str | None
    winner_scores: Scores | None
    """On the test split."""
    seconds: float | None
    """From start to end; None: it is not finished."""
    llm_calls: int
    cost_usd: float | None
    """None: unknown."""


class SettingPair(_Data):
    name: str
    here: str
    there: str


class OtherSearch(_Data):
    here: SearchSummary
    there: SearchSummary
    settings: tuple[SettingPair, ...]
    """That differ."""
    difference: Estimate | None
    """Accuracy on the test split of this winner minus that of the other, for new questions and new seeds."""
    not_compared: str = ""
    """Why there is none."""


class ReportData(_Data):
    run: RunFacts
    rounds: tuple[Round, ...] = ()
    models: tuple[ProposingModel, ...] = ()
    """Language models that were asked, in the order of their first calls."""
    candidates: tuple[Candidate, ...] = ()
    baselines: tuple[Entry, ...] = ()
    """Controls that were screened like candidates, such as the untrained base and base rewards only; drawn into
    the figure of the rounds."""
    entries: tuple[Entry, ...] = ()
    pairwise: PairwiseTable | None = None
    screening_evidence: RankingEvidence | None = None
    """Of the ranking of the candidates by their screenings."""
    final_evidence: RankingEvidence | None = None
    """Of the ranking of the entries on the split that ranks: what the winner was selected by."""
    test_evidence: RankingEvidence | None = None
    """Of the ranking of the same entries on the test split, where nothing was selected."""
    base_samples: BaseSamples | None = None
    luck: SeedLuck | None = None
    """None: nothing was trained twice, so the luck of training is unknown."""
    asked: tuple[AskedSplit, ...] = ()
    """Answers question by question; of each stage and split once."""
    beside: OtherSearch | None = None
    exchanges: tuple[Exchange, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    older: dict[str, str] = {}
    """Names by identity of parents that were not proposed in this run, such as rewards of the starter library."""
    notes: tuple[str, ...] = ()
    """Remarks shown under the headline, one sentence each."""
