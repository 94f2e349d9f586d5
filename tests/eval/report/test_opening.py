import re

import pytest

from eval.prediction import Prediction
from eval.report.data import (
    AskedQuestion,
    AskedSplit,
    Candidate,
    Entry,
    PairwiseTable,
    PairwiseTest,
    PolicyAnswers,
    ReportData,
    RunFacts,
    Scores,
    SeedLuck,
)
from eval.report.opening import caveats, findings, headline, methods, next_steps
from eval.report.render import render
from eval.statistics.estimate import Estimate
from tests.eval.report.sample import sample_report


def estimate(value, half=0.03):
    return Estimate(value, value - half, value + half, 500, 0.95, "BCa bootstrap")


def scores(f1, seeds=(1, 2, 3)):
    luck = "both" if len(seeds) > 1 else "questions"
    return Scores(n=500, seeds=seeds, accuracy=estimate(f1 / (2 - f1)), f1=estimate(f1), luck=luck)


def entry(name, validation=None, test=None, **fields):
    return Entry(
        name=name,
        kind=fields.pop("kind", "ensemble"),
        validation=scores(validation) if validation else None,
        test=scores(test) if test else None,
        **fields,
    )


def report(*entries, pairwise=None, candidates=(), **facts):
    run = RunFacts(name="r", task="gsm8k", base_model="m", **facts)
    return ReportData(run=run, entries=entries, pairwise=pairwise, candidates=candidates)


def table(first, second, low, value, high):
    difference, p = Estimate(value, low, high, 500, 0.95, "Tango score"), 0.4 if low < 0 < high else 0.01
    test = PairwiseTest(
        first=first,
        second=second,
        first_only=1,
        second_only=1,
        difference=difference,
        p_value=p,
        method="exact",
        bonferroni=p,
        holm=p,
    )
    return PairwiseTable(split="test", tests=(test,))


def told(data, label):
    return next(finding.text for finding in findings(data) if finding.label == label)


WINNER = entry("top-5", 0.81, 0.79, winner=True)
BETTER_ON_TEST = entry("top-3", 0.80, 0.83)
BASE = entry("base", 0.7, 0.7, kind="control", control="base rewards only")


def test_the_winner_of_validation_is_the_headline_whatever_scores_higher_on_test():
    sentence = headline(report(WINNER, BETTER_ON_TEST))
    assert sentence.startswith(
        "With nothing to compare it with, top-5 answers 65.3 % [62.3, 68.3] of the 500 sealed test"
    )


def test_a_gain_over_the_base_rewards_is_told_with_its_interval():
    sentence = headline(report(WINNER, BASE, pairwise=table("top-5", "base", 0.02, 0.09, 0.16)))
    assert "+9.0 points of accuracy [+2.0, +16.0] over base rewards only" in sentence


def test_the_pair_may_stand_in_either_order():
    there = headline(report(WINNER, BASE, pairwise=table("top-5", "base", 0.02, 0.09, 0.16)))
    back = headline(report(WINNER, BASE, pairwise=table("base", "top-5", -0.16, -0.09, -0.02)))
    assert there == back


def test_an_interval_across_zero_is_no_gain_and_no_equality():
    sentence = headline(report(WINNER, BASE, pairwise=table("top-5", "base", -0.01, 0.02, 0.05)))
    assert sentence.startswith("Not decided: ")
    assert "over base rewards only" not in sentence


def test_a_loss_is_told_as_one():
    sentence = headline(report(WINNER, BASE, pairwise=table("top-5", "base", -0.1, -0.06, -0.02)))
    assert sentence.startswith("Base rewards only win: ")
    assert "which is worse by −6.0 points of accuracy [−10.0, −2.0]" in sentence


def test_where_nothing_was_trained_twice_no_sentence_says_better():
    once = entry("top-5", winner=True).model_copy(update={"test": scores(0.79, seeds=(1,))})
    base = entry("base", kind="control", control="base rewards only").model_copy(
        update={"test": scores(0.7, seeds=(1,))}
    )
    data = report(once, base, pairwise=table("top-5", "base", 0.02, 0.09, 0.16))
    sentence = headline(data)
    assert sentence.startswith("One training run each does not show which reward is better: ")
    assert "+9.0 points of accuracy [+2.0, +16.0]" in sentence
    assert "no order of the entries is shown: training luck is unknown" in told(data, "How sure")
    assert "probability" not in told(data, "How sure")


def test_base_rewards_that_cannot_be_told_from_the_winner_lead_to_more_seeds_and_a_stronger_proposer():
    data = report(WINNER, BASE, pairwise=table("top-5", "base", -0.05, -0.01, 0.03))
    first, more_seeds, stronger = next_steps(data)
    assert first.startswith("The search is not shown to help: keep the base rewards")
    assert "--set finals.seeds=5" in more_seeds
    assert "--set proposer.name=litellm" in stronger
    luck = SeedLuck(deviation=0.05, low=0.02, high=0.1, recipes=2, runs=6)
    difference = table("top-5", "base", -0.01, 0.05, 0.11)
    known = report(WINNER, BASE, pairwise=difference).model_copy(update={"luck": luck})
    # 2 (1.96 + 0.84)^2 s^2 / d^2 with s = d is 15.68.
    assert "about 16 runs of each a true difference of 5.0 points would show" in next_steps(known)[1]
    assert "--set finals.seeds=16 " in next_steps(known)[1]


def test_a_finished_search_without_a_winner_says_what_to_do():
    failed = report(
        entry("top-3", failure="out of memory"), entry("base", 0.7, kind="control", control="base rewards only")
    )
    assert headline(failed) == "No ensemble could be scored, so this search has no winner."
    assert next_steps(failed)[0].startswith("The table of entries says why each failed")
    refused = Candidate(name="a", identity="x", round=1, status="rejected", failure="f")
    nothing = report(candidates=(refused,))
    assert headline(nothing) == "Nothing won: of 1 candidate not one could be scored, so nothing is ranked."
    assert next_steps(nothing)[0].startswith("`reward-search status RUN`")
    running = headline(report(candidates=(refused,), state="running"))
    assert running == "1 candidate so far, and not one has a score yet."


def test_two_figures_of_the_base_rewards_alone_are_explained_where_they_stand():
    screened = Entry(name="base", kind="control", control="base rewards only", validation=scores(0.61))
    candidate = Candidate(name="repair", identity="x", round=1, status="screened", scores=scores(0.66))
    data = report(WINNER, BASE, candidates=(candidate,)).model_copy(update={"baselines": (screened,)})
    page = " ".join(render(data).split())
    assert "Base rewards only stand here as screened, 0.610 [0.580, 0.640] over 3 runs" in page
    assert "as retrained with fresh seeds, 0.700 [0.670, 0.730] over 3 runs: one recipe, other luck." in page


def test_before_the_test_split_is_opened():
    assert "still sealed" in headline(report(entry("top-5", 0.8, winner=True)))


def test_with_candidates_only():
    candidate = Candidate(name="repair", identity="x", round=2, status="screened", scores=scores(0.66))
    failed = Candidate(name="best of all", identity="y", round=2, status="failed", scores=scores(0.99), failure="f")
    sentence = headline(report(candidates=(candidate, failed)))
    assert "repair of round 2 stands first of 1 scored candidate " in sentence


def test_a_failed_winner_is_no_headline():
    assert "top-3" in headline(report(entry("top-5", 0.9, winner=True, failure="crashed"), entry("top-3", 0.8)))


def test_selection_on_the_test_split_is_called_optimistic():
    assert any("optimistic" in caveat for caveat in caveats(report(WINNER, selection_split="test")))
    assert "sealed" not in headline(report(WINNER, selection_split="test"))


def test_an_unopened_test_split_is_said_to_be_so():
    assert "The test split has not been opened." in caveats(report())


def test_unknown_and_known_luck_of_training_are_told():
    single = Entry(name="a", kind="ensemble", test=scores(0.7, seeds=(1,)))
    unknown = "the luck of training is unknown"
    assert any(unknown in caveat for caveat in caveats(report(single)))
    luck = SeedLuck(deviation=0.09, low=0.05, high=0.3, recipes=1, runs=3)
    told = caveats(report(WINNER).model_copy(update={"luck": luck}))
    assert any("standard deviation of 0.090 in accuracy ([0.050, 0.300], from 3 runs of 1 recipe" in c for c in told)
    assert not any(unknown in caveat for caveat in told)


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_an_unfinished_run_is_told_first(state):
    assert state in caveats(report(WINNER, state=state))[0]


def test_methods_name_the_margin_the_family_and_the_task():
    pairs = table("top-5", "base", -0.01, 0.02, 0.05).model_copy(update={"margin": 0.03})
    text = " ".join(methods(report(WINNER, BASE, pairwise=pairs, feedback="ranked", proposer="evolve")))
    for words in (
        "evolve",
        "gsm8k",
        "1 pairwise comparison",
        "3 points of accuracy",
        "F1 = 2a / (1 + a)",
        "fresh seeds",
    ):
        assert words in text


def test_the_winners_drop_from_validation_to_test_is_told():
    assert "its accuracy was 68.1 %; on test, which nothing had been chosen by, it is 2.8 points less" in told(
        report(WINNER, BASE), "How sure"
    )


def screened(name, number, f1):
    return Candidate(name=name, identity=name, round=number, status="screened", scores=scores(f1))


def test_a_rise_over_rounds_is_claimed_only_where_its_interval_excludes_zero():
    low, high = (0.50, 0.51, 0.52), (0.70, 0.71, 0.72)
    rise = [screened(f"a{k}", 1, f1) for k, f1 in enumerate(low)] + [
        screened(f"b{k}", 2, f1) for k, f1 in enumerate(high)
    ]
    assert "a rise of +20.8 points" in told(report(candidates=tuple(rise)), "The search")
    unclear = [screened(f"a{k}", 1, f1) for k, f1 in enumerate((0.3, 0.6, 0.9))]
    unclear += [screened(f"b{k}", 2, f1) for k, f1 in enumerate((0.35, 0.65, 0.95))]
    assert "neither a rise nor a fall is shown" in told(report(candidates=tuple(unclear)), "The search")


def test_random_controls_as_good_as_the_winner_are_told_in_the_opening():
    control = entry("random-1", 0.8, 0.85, kind="control", control="random draw 1 of 1 from all rounds")
    assert "at least as well as the winner" in told(report(WINNER, control), "How sure")
    worse = entry("random-1", 0.6, 0.6, kind="control", control="random draw 1 of 1 from all rounds")
    assert "at least as well" not in told(report(WINNER, worse), "How sure")
    both = table("top-5", "base", 0.02, 0.09, 0.16)
    close = both.model_copy(update={"tests": (*both.tests, *table("top-5", "random-1", -0.02, 0.03, 0.08).tests)})
    assert headline(report(WINNER, BASE, worse, pairwise=close)).endswith(
        " training seeds; from a random draw of candidates it cannot be told."
    )
    data = report(WINNER, BASE, control, pairwise=table("top-5", "base", 0.02, 0.09, 0.16))
    assert headline(data).endswith(
        "; but a random draw of candidates did at least as well, so it was not the choice among them that won."
    )


def test_the_key_figures_hold_the_winner_and_its_gain():
    page = render(report(WINNER, BASE, pairwise=table("top-5", "base", 0.02, 0.09, 0.16)))
    figures = dict(re.findall(r'<dt>([^<]*)</dt><dd><span class="large">([^<]*)<', page))
    assert figures["top-5, accuracy on test"] == "65.3 %"
    assert figures["over base rewards only"] == "+9.0"


def test_methods_are_written_from_the_protocol():
    protocol = sample_report(1, 3, seeds=(1, 2), questions=50).run.protocol
    text = " ".join(methods(report(WINNER, BASE, candidates=(screened("a", 1, 0.5),), protocol=protocol)))
    for words in (
        "40 optimizer steps of 4 prompts with 8 completions each",
        "learning rate 2 × 10⁻³ (cosine)",
        "no KL term",
        "rank 8 and alpha 8",
        "format exact, format approximate and answer check",
        "standardised within each group of completions",
    ):
        assert words in text


def member(name, number, f1, **fields):
    return screened(name, number, f1).model_copy(
        update={"family": "reflection", "description": "Pays for a repair that ends right. And more.", **fields}
    )


def answers(policy, rights, words):
    predictions = tuple(
        Prediction(
            id=f"q{k}",
            completion=words,
            strict="1",
            flexible="1",
            correct=right,
            correct_flexible=right,
            completion_tokens=len(words.split()),
        )
        for k, right in enumerate(rights)
    )
    return PolicyAnswers(policy=policy, seed=1, predictions=predictions)


def situation(low=None, value=None, high=None, seeds=(1, 2, 3), **changes):
    """A finished search whose winner has two members."""
    candidates = (
        member("repair", 1, 0.75),
        member("late-check", 2, 0.77),
        screened("brief", 2, 0.5).model_copy(update={"family": "length"}),
    )
    best = entry("top-2", 0.81, winner=True, members=("repair", "late-check")).model_copy(
        update={"test": scores(0.79, seeds)}
    )
    base = BASE.model_copy(update={"test": scores(0.7, seeds)})
    asked = AskedSplit(
        stage="finals",
        split="test",
        questions=tuple(AskedQuestion(id=f"q{k}") for k in range(4)),
        policies=(
            answers("top-2", (True, True, True, False), "wait check it again"),
            answers("base", (True, False, False, True), "so it is"),
        ),
    )
    data = report(
        best,
        base,
        pairwise=table("top-2", "base", low, value, high),
        candidates=candidates,
        folder="runs/mine",
        proposer="evolve",
        seconds={"screen": 7200.0},
    )
    luck = SeedLuck(deviation=0.03, low=0.02, high=0.06, recipes=2, runs=6) if len(seeds) > 1 else None
    return data.model_copy(update={"asked": (asked,), "luck": luck, **changes})


def opening(data):
    """As a reader has it: the headline, what is asked next, and what to do."""
    said = [f"{finding.label}: {finding.text}" for finding in findings(data)]
    return [headline(data), *said, *(f"Next: {step}" for step in next_steps(data))]


WHAT_WON = (
    "What won: top-2 adds 2 rewards: late-check (reflection, round 2), “Pays for a repair that ends right”; "
    "repair (reflection, round 1), “Pays for a repair that ends right”."
)
MADE_SO = (
    "What made it so: Its policy gets 2 test questions right that base rewards only get wrong, 1 the other way round; "
    "it writes 4 tokens a question instead of 3. Its habit of words: “again” stands in 100.0 % of its completions "
    "instead of 0.0 %, “check” stands in 100.0 % of its completions instead of 0.0 %, “is” stands in 0.0 % of its "
    "completions instead of 100.0 %, “so” stands in 0.0 % of its completions instead of 100.0 %. By family, scored "
    "candidates reach on average 61.3 % (reflection, 2, 2 in the winner), 33.3 % (length, 1)."
)
SEARCH = (
    "The search: 3 reward functions were proposed in 2 rounds and all could be trained to the end and scored. From "
    "round 1 to round 2 their mean accuracy went from 60.0 % to 48.0 %."
)
COST = "Cost: 2 h 00 min of work. No language model was paid."
DROP = (
    "It was chosen on validation, where its accuracy was 68.1 %; on test, which nothing had been chosen by, it is 2.8 "
    "points less."
)


def test_a_clear_win_opens_with_what_won_by_how_much_and_how_to_take_it_home():
    assert opening(situation(0.02, 0.09, 0.16)) == [
        "top-2 wins: it answers 65.3 % [62.3, 68.3] of the 500 sealed test questions of gsm8k rightly, +9.0 points "
        "of accuracy [+2.0, +16.0] over base rewards only, for new questions and new training seeds.",
        WHAT_WON,
        f"How sure: Of 1 other entry on test it differs from 1 and cannot be told from none. {DROP}",
        MADE_SO,
        SEARCH,
        COST,
        "Next: Take it home: `reward-search export runs/mine --to my_reward` writes a folder that plugs into TRL, "
        "verl, OpenRLHF and verifiers.",
        "Next: Before it trains something dear, try it under other settings: `finals.transfer` trains winner and base "
        "rewards on another policy or loss.",
    ]


def test_an_unclear_outcome_opens_with_that_and_says_how_many_seeds_would_decide():
    said = opening(situation(-0.02, 0.03, 0.08))
    assert said == [
        "Not decided: a difference between top-2 and base rewards only is not shown (+3.0 points of accuracy [−2.0, "
        "+8.0] on the 500 sealed test questions of gsm8k, for new questions and new training seeds).",
        WHAT_WON,
        f"How sure: Of 1 other entry on test it differs from none and cannot be told from 1 (base). {DROP}",
        MADE_SO,
        SEARCH,
        COST,
        "Next: The search is not shown to help: keep the base rewards, or search with more candidates and seeds.",
        "Next: More seeds: a new search with `--set finals.seeds=16 --set finals.control_seeds=16`. Runs of one recipe "
        "differ by 3.0 points, so with about 16 runs of each a true difference of 3.0 points would show (80 % power, "
        "the choice of questions aside).",
        "Next: A stronger proposer: a language model, with `--set proposer.name=litellm`, in a new search.",
    ]


def test_where_the_control_wins_that_is_the_first_sentence():
    said = opening(situation(-0.1, -0.06, -0.02))
    assert said[0] == (
        "Base rewards only win: top-2, the search's best, answers 65.3 % [62.3, 68.3] of the 500 sealed test "
        "questions of gsm8k rightly, which is worse by −6.0 points of accuracy [−10.0, −2.0], for new questions and "
        "new training seeds."
    )
    assert [step for step in said if step.startswith("Next")] == [
        "Next: Keep the base rewards: the search is not shown to help.",
        "Next: A stronger proposer: a language model, with `--set proposer.name=litellm`, in a new search.",
    ]


def test_where_nothing_survived_the_opening_names_the_command_that_says_why():
    refused = tuple(
        Candidate(name=f"r{k}", identity=f"r{k}", round=1, status="rejected", failure="imports os") for k in range(3)
    )
    data = report(candidates=refused, folder="runs/mine", proposer="litellm", llm_calls=2, llm_tokens=900, cost_usd=0.5)
    assert opening(data) == [
        "Nothing won: of 3 candidates not one could be scored, so nothing is ranked.",
        "The search: 3 reward functions were proposed in 1 round and none could be trained to the end and scored.",
        "Cost: The language model: $0.50 for 2 calls of 900 tokens.",
        "Next: `reward-search status runs/mine` and the table of candidates say why each was refused or failed.",
        "Next: A stronger proposer: another model in `proposer.options.models`, or more candidates "
        "(`search.candidates_per_round`), in a new search.",
    ]


def test_with_one_seed_the_first_sentence_claims_no_winner_and_training_again_comes_first():
    said = opening(situation(0.02, 0.09, 0.16, seeds=(1,)))
    assert said[0] == (
        "One training run each does not show which reward is better: on the 500 sealed test questions of gsm8k, top-2 "
        "is at +9.0 points of accuracy [+2.0, +16.0] against base rewards only, and how far a second run would differ "
        "is unknown."
    )
    assert said[2].startswith("How sure: Nothing was trained twice, so no order of the entries is shown")
    assert [step for step in said if step.startswith("Next")] == [
        "Next: Train each more than once before you believe any order: a new search with `--set finals.seeds=5 --set "
        "finals.control_seeds=5`.",
        "Next: To try the winner meanwhile: `reward-search export runs/mine --to my_reward`",
    ]


def test_selection_on_the_test_split_and_a_constructed_task_stand_in_the_first_sentence():
    run = situation(0.02, 0.09, 0.16).run.model_copy(
        update={"selection_split": "test", "task": "testbed", "constructed_task": True}
    )
    assert headline(situation(0.02, 0.09, 0.16, run=run)).startswith(
        "top-2 wins on the questions that it was chosen by, which is optimistic: it answers 65.3 % [62.3, 68.3] of the "
        "500 test questions of the constructed testbed rightly"
    )
