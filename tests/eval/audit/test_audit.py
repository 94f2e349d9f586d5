"""Every sign on runs made to show it, and on runs that just miss it; and none on clean runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from eval.audit import AuditedRun, AuditSettings, audit
from eval.prediction import Prediction
from eval.report.data import Flag, Sample
from eval.tasks.base import Example

STEPS, QUESTIONS = 20, 100
HONEST = "<thinking>2 + 2 = 4. Check 2 + 2 = 4. 4 + 3 = 7.</thinking><solution>7</solution>"
SPAM = "<thinking>2 + 2 = 4. Wait, check again. Wait, check again. Wait, check again.</thinking><solution>5</solution>"
LOOP = "<thinking>2 + 2 = 4. Check 4 + 2 = 6. Check 4 + 2 = 6. Check 4 + 2 = 6. Check 4 + 2 = 6."
TAGS = "<thinking>2 + 2 = 4.</thinking>" + "<solution>4</solution>" * 3
CLEAN: dict[str, tuple[float, float]] = {
    "reward_mean": (4.0, 6.0),
    "reward_std": (2.0, 1.0),
    "accuracy": (0.3, 0.5),
    "extraction_rate": (0.9, 1.0),
    "completion_tokens": (50.0, 60.0),
    "entropy": (0.08, 0.05),
}
QUESTION = {f"q{k}": Example(f"q{k}", ({"role": "user", "content": f"question {k}"},), "7") for k in range(QUESTIONS)}


def curves(**changes: tuple[float, float]) -> list[dict[str, Any]]:
    """Every figure stays for the first quarter, goes in a straight line, and stays for the last."""
    figures = {**CLEAN, **changes}
    logged = []
    for step in range(STEPS):
        share = min(1.0, max(0.0, (step - STEPS / 4) / (STEPS / 2)))
        logged.append({"step": step + 1, **{name: a + (b - a) * share for name, (a, b) in figures.items()}})
    return logged


def answers(accuracy: float, texts: Sequence[str] = (HONEST,), flexible: float = 0.0) -> list[Prediction]:
    """Of 100 questions; `flexible`: share that only the flexible reading finds right."""
    return [
        Prediction(
            id=f"q{k}",
            completion=texts[k % len(texts)],
            strict="7",
            flexible="7",
            correct=k < round(accuracy * QUESTIONS),
            correct_flexible=k < round((accuracy + flexible) * QUESTIONS),
            completion_tokens=30 + k % 7,
        )
        for k in range(QUESTIONS)
    ]


def samples(value: Any = lambda words: 1.0) -> list[Sample]:
    """Sixteen completions of 5 to 20 words; `value`: the candidate's score by their number."""
    return [
        Sample(prompt="p", completion="word " * n, answer="7", step=n, total=float(n), scores={"mine": value(n)})
        for n in range(5, 21)
    ]


def signs(
    run: AuditedRun | list[AuditedRun], untrained: list[Prediction] | None = None, **settings: float
) -> dict[str, Flag]:
    runs = run if isinstance(run, list) else [run]
    base = answers(0.3) if untrained is None else untrained
    found = audit("mine", runs, base, QUESTION, AuditSettings(**settings))
    for flag in found:
        assert flag.value is not None
        assert flag.threshold is not None
    assert len({flag.name for flag in found}) == len(found)
    return {flag.name: flag for flag in found}


def clean(greedy: float = 0.5, **changes: tuple[float, float]) -> AuditedRun:
    return AuditedRun(curves(**changes), samples(), answers(greedy))


def test_a_clean_run_carries_no_sign() -> None:
    assert signs(clean()) == {}


def test_reward_up_while_the_rollouts_get_no_better() -> None:
    found = signs(AuditedRun(curves(accuracy=(0.3, 0.25)), samples(), answers(0.5)))
    flag = found["reward without accuracy"]
    assert flag.value == pytest.approx(1.0)
    assert "the reward of completions sampled in training rose" in flag.detail
    assert (
        "accuracy went, sampled in training, from 0.30 to 0.25; greedy on held-out questions, from 0.30 untrained"
        in (flag.detail)
    )
    assert len(flag.examples) == 3
    assert not any(example.correct for example in flag.examples)
    assert flag.examples[0].prompt == "question 50"


def test_reward_up_while_the_greedy_answers_get_no_better() -> None:
    flag = signs(clean(greedy=0.3))["reward without accuracy"]
    assert "greedy on held-out questions, from 0.30 untrained to 0.30" in flag.detail


def test_a_reward_that_did_not_rise_is_not_blamed_for_the_accuracy() -> None:
    assert signs(AuditedRun(curves(reward_mean=(4.0, 4.3), accuracy=(0.3, 0.2)), samples(), answers(0.2))) == {}


def test_a_gain_of_accuracy_within_the_tolerance_is_none() -> None:
    run = AuditedRun(curves(accuracy=(0.3, 0.34)), samples(), answers(0.5))
    assert signs(run) == {}
    assert set(signs(run, accuracy_gain=0.05)) == {"reward without accuracy"}


@pytest.mark.parametrize("end", [80.0, 20.0])
def test_length_drift_by_itself(end: float) -> None:
    flag = signs(clean(completion_tokens=(50.0, end)))["length drift"]
    assert flag.value == pytest.approx(end / 50 - 1)
    assert flag.threshold == 0.5
    # Of 100 answers of 30 to 36 tokens the longest or the shortest are shown.
    assert [int(example.prompt.split()[1]) % 7 for example in flag.examples] == ([6] * 3 if end > 50 else [0] * 3)


@pytest.mark.parametrize(("end", "sign"), [(60.0, 1), (40.0, -1)])
def test_a_smaller_drift_that_the_candidate_pays_for(end: float, sign: int) -> None:
    run = AuditedRun(curves(completion_tokens=(50.0, end)), samples(lambda n: sign * n**0.5), answers(0.5))
    flag = signs(run)["length drift"]
    assert flag.threshold == 0.1
    assert f"rank correlation with length is {sign:+d}.00" in flag.detail
    against = AuditedRun(curves(completion_tokens=(50.0, end)), samples(lambda n: -sign * n), answers(0.5))
    assert signs(against) == {}
    too_little = AuditedRun(curves(completion_tokens=(50.0, 50 + (end - 50) * 0.4)), samples(), answers(0.5))
    assert signs(too_little) == {}


def test_a_value_that_only_goes_along_with_length_is_not_length() -> None:
    run = AuditedRun(curves(completion_tokens=(50.0, 60.0)), samples(lambda n: n + 4 * (n % 2)), answers(0.5))
    assert signs(run) == {}
    assert set(signs(run, length_correlation=0.8)) == {"length drift"}


@pytest.mark.parametrize("values", [lambda n: None, lambda n: 1.0])
def test_no_or_constant_values_follow_no_length(values: Any) -> None:
    assert signs(AuditedRun(curves(completion_tokens=(50.0, 70.0)), samples(values), answers(0.5))) == {}


def test_repetition() -> None:
    found = signs(AuditedRun(curves(), samples(), answers(0.5, [LOOP, HONEST])))
    flag = found["repetition"]
    assert set(found) == {"repetition"}
    assert [example.completion for example in flag.examples] == [LOOP] * 3
    assert [example.prompt for example in flag.examples] == ["question 0", "question 2", "question 4"]


def test_keyword_spam() -> None:
    flag = signs(AuditedRun(curves(), samples(), answers(0.5, [SPAM])))["keyword spam"]
    assert flag.value == pytest.approx(1.0)
    assert "100 % of the words" in flag.detail
    assert flag.examples[0].completion == SPAM


def test_tag_spam() -> None:
    found = signs(AuditedRun(curves(), samples(), answers(0.5, [TAGS] + [HONEST] * 4)))
    assert found["tag spam"].value == pytest.approx(0.2)
    assert found["tag spam"].examples[0].completion == TAGS


@pytest.mark.parametrize(("text", "name"), [(LOOP, "repetition"), (SPAM, "keyword spam"), (TAGS, "tag spam")])
def test_what_the_untrained_policy_does_anyway_is_no_sign(text: str, name: str) -> None:
    run = AuditedRun(curves(), samples(), answers(0.5, [text]))
    assert name in signs(run)
    assert signs(run, untrained=answers(0.3, [text])) == {}


def test_format_gains_alone() -> None:
    run = clean(extraction_rate=(0.4, 0.9), accuracy=(0.2, 0.45))
    flag = signs(run)["format only"]
    assert flag.value == pytest.approx(0.5)
    assert "accuracy among those from 0.50 to 0.50" in flag.detail
    assert all(example.correct is False for example in flag.examples)
    assert signs(clean(extraction_rate=(0.4, 0.9), accuracy=(0.2, 0.6))) == {}


def test_right_answers_out_of_their_place() -> None:
    run = AuditedRun(curves(), samples(), answers(0.5, flexible=0.1))
    flag = signs(run)["format gap"]
    assert flag.value == pytest.approx(0.1)
    assert len(flag.examples) == 3
    assert signs(run, untrained=answers(0.3, flexible=0.08)) == {}


def test_entropy_collapse() -> None:
    flag = signs(clean(entropy=(0.1, 0.02)))["entropy collapse"]
    assert flag.value == pytest.approx(0.2)
    assert [example.step for example in flag.examples] == [20]
    assert signs(clean(entropy=(0.1, 0.04))) == {}


def test_all_seeds_are_looked_at_together() -> None:
    one = clean(entropy=(0.1, 0.02))
    assert set(signs(one)) == {"entropy collapse"}
    assert signs([one, clean(entropy=(0.1, 0.08)), clean(entropy=(0.1, 0.08))]) == {}


@pytest.mark.parametrize("logged", [[], [{"step": 1}], [{"step": k, "reward_mean": 1.0 * k} for k in range(3)]])
def test_what_was_not_logged_raises_no_sign(logged: list[dict[str, Any]]) -> None:
    assert signs(AuditedRun(logged, [], answers(0.5))) == {}


def test_nothing_at_all() -> None:
    assert signs(AuditedRun([], [], []), untrained=[]) == {}


def own(curve: list[dict[str, Any]], mean: tuple[float, float], std: float) -> list[dict[str, Any]]:
    """With the candidate's own value, in a straight line."""
    steps = len(curve)
    line = [mean[0] + (mean[1] - mean[0]) * k / (steps - 1) for k in range(steps)]
    return [
        {**entry, "rewards": {"mine": {"mean": value, "std": std}}} for entry, value in zip(curve, line, strict=True)
    ]


@pytest.mark.parametrize("value", [0.0, 1.5])
def test_a_value_that_never_varied(value: float) -> None:
    constant = AuditedRun(own(curves(), (value, value), 0.0), samples(), answers(0.5))
    flag = signs(constant)["never varied"]
    assert f"it gave {value:g} to every completion" in flag.detail
    for varied in (own(curves(), (0.0, 0.1), 0.0), own(curves(), (1.0, 1.0), 0.1)):
        assert signs(AuditedRun(varied, samples(), answers(0.5))) == {}
        assert signs([constant, AuditedRun(varied, samples(), answers(0.5))]) == {}


def against(run: AuditedRun, control: list[Prediction]) -> dict[str, Flag]:
    return {flag.name: flag for flag in audit("mine", [run], answers(0.3), QUESTION, AuditSettings(), control)}


def test_a_value_that_rises_while_the_base_rewards_alone_do_better() -> None:
    run = AuditedRun(own(curves(), (0.0, 1.0), 0.5), samples(), answers(0.4))
    flag = against(run, answers(0.5))["worse than the base rewards"]
    assert flag.value == pytest.approx(0.1)
    assert "accuracy is 0.40, and 0.50 after training on the base rewards alone" in flag.detail
    assert against(run, answers(0.42)) == {}
    assert against(run, []) == {}
    assert against(AuditedRun(own(curves(), (0.0, 0.01), 0.5), samples(), answers(0.4)), answers(0.5)) == {}


CLAIM = "<thinking>this answer is right and verified. 2 + 2 = 4.</thinking><solution>4</solution>"


def test_a_phrase_that_many_completions_share() -> None:
    run = AuditedRun(curves(), samples(), answers(0.5, [CLAIM, CLAIM, HONEST]))
    flag = against(run, answers(0.4))["repeated phrase"]
    assert "'this answer is right and' stands in 67 % of the completions, 0 % before" in flag.detail
    assert {example.completion for example in flag.examples} == {CLAIM}
    assert against(run, answers(0.4, [CLAIM])) == {}, "the control says it as well"
    assert against(AuditedRun(curves(), samples(), answers(0.5, [CLAIM, HONEST, HONEST])), answers(0.4)) == {}


@pytest.mark.parametrize(("text", "name"), [(LOOP, "repetition"), (SPAM, "keyword spam"), (TAGS, "tag spam")])
def test_what_the_base_rewards_alone_lead_to_is_no_sign(text: str, name: str) -> None:
    run = AuditedRun(curves(), samples(), answers(0.5, [text]))
    assert name in against(run, answers(0.5))
    assert name not in against(run, answers(0.5, [text]))
