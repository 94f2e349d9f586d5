import re

import pytest

from eval.report.data import Candidate, Entry, PairwiseTable, PairwiseTest, ReportData, RunFacts, Scores, SeedLuck
from eval.report.opening import caveats, findings, headline, methods
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
    difference = Estimate(value, low, high, 500, 0.95, "Tango score")
    test = PairwiseTest(
        first=first,
        second=second,
        first_only=1,
        second_only=1,
        difference=difference,
        p_value=0.01,
        method="exact",
        bonferroni=0.01,
        holm=0.01,
    )
    return PairwiseTable(split="test", tests=(test,))


WINNER = entry("top-5", 0.81, 0.79, winner=True)
BETTER_ON_TEST = entry("top-3", 0.80, 0.83)
BASE = entry("base", 0.7, 0.7, kind="control", control="base rewards only")


def test_the_winner_of_validation_is_the_headline_whatever_scores_higher_on_test():
    assert headline(report(WINNER, BETTER_ON_TEST)).startswith("top-5 reaches F1 0.790 [0.760, 0.820]")


def test_a_gain_over_the_base_rewards_is_told_with_its_interval():
    sentence = headline(report(WINNER, BASE, pairwise=table("top-5", "base", 0.02, 0.09, 0.16)))
    assert "+9.0 points of accuracy [+2.0, +16.0] over base rewards only" in sentence


def test_the_pair_may_stand_in_either_order():
    there = headline(report(WINNER, BASE, pairwise=table("top-5", "base", 0.02, 0.09, 0.16)))
    back = headline(report(WINNER, BASE, pairwise=table("base", "top-5", -0.16, -0.09, -0.02)))
    assert there == back


def test_an_interval_across_zero_is_no_gain_and_no_equality():
    sentence = headline(report(WINNER, BASE, pairwise=table("top-5", "base", -0.01, 0.02, 0.05)))
    assert "is not shown" in sentence
    assert "over base rewards only" not in sentence


def test_a_loss_is_told_as_one():
    sentence = headline(report(WINNER, BASE, pairwise=table("top-5", "base", -0.1, -0.06, -0.02)))
    assert "worse than base rewards only" in sentence


def test_where_nothing_was_trained_twice_no_sentence_says_better():
    once = entry("top-5", winner=True).model_copy(update={"test": scores(0.79, seeds=(1,))})
    base = entry("base", kind="control", control="base rewards only").model_copy(
        update={"test": scores(0.7, seeds=(1,))}
    )
    data = report(once, base, pairwise=table("top-5", "base", 0.02, 0.09, 0.16))
    sentence = headline(data)
    assert "on these questions +9.0 points of accuracy [+2.0, +16.0] more" in sentence
    assert "the luck of training unknown" in sentence
    assert any("no order of the entries is shown: training luck is unknown" in finding for finding in findings(data))
    assert not any("probability" in finding for finding in findings(data))


def test_base_rewards_that_do_as_well_have_a_sentence_and_a_next_step():
    better_base = BASE.model_copy(update={"test": scores(0.8)})
    sentence = headline(report(WINNER, better_base, pairwise=table("top-5", "base", -0.05, -0.01, 0.03)))
    assert sentence.endswith(
        "The search is not shown to help: keep the base rewards, or search with more candidates and seeds."
    )
    assert "not shown to help" not in headline(report(WINNER, BASE, pairwise=table("top-5", "base", 0.0, 0.09, 0.2)))


def test_a_finished_search_without_a_winner_says_what_to_do():
    failed = entry("top-3", failure="out of memory")
    assert headline(report(failed, entry("base", 0.7, kind="control", control="base rewards only"))).startswith(
        "No ensemble could be scored, so this search has no winner. Next: "
    )
    refused = Candidate(name="a", identity="x", round=1, status="rejected", failure="f")
    assert headline(report(candidates=(refused,))).startswith(
        "1 candidate, and not one could be scored, so nothing is ranked. Next: "
    )
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
    assert sentence.startswith("repair of round 2 stands first of 1 scored candidate ")


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
    assert "its F1 was 0.810; on test, which nothing had been chosen by, it is 0.020 less" in " ".join(
        findings(report(WINNER, BASE))
    )


def screened(name, number, f1):
    return Candidate(name=name, identity=name, round=number, status="screened", scores=scores(f1))


def test_a_rise_over_rounds_is_claimed_only_where_its_interval_excludes_zero():
    low, high = (0.50, 0.51, 0.52), (0.70, 0.71, 0.72)
    rise = [screened(f"a{k}", 1, f1) for k, f1 in enumerate(low)] + [
        screened(f"b{k}", 2, f1) for k, f1 in enumerate(high)
    ]
    assert "a rise of +0.200" in findings(report(candidates=tuple(rise)))[0]
    unclear = [screened(f"a{k}", 1, f1) for k, f1 in enumerate((0.3, 0.6, 0.9))]
    unclear += [screened(f"b{k}", 2, f1) for k, f1 in enumerate((0.35, 0.65, 0.95))]
    assert "neither a rise nor a fall is shown" in findings(report(candidates=tuple(unclear)))[0]


def test_random_controls_as_good_as_the_winner_are_told_in_the_opening():
    control = entry("random-1", 0.8, 0.85, kind="control", control="random draw 1 of 1 from all rounds")
    assert "at least as well as the winner" in findings(report(WINNER, control))[0]
    worse = entry("random-1", 0.6, 0.6, kind="control", control="random draw 1 of 1 from all rounds")
    assert "at least as well" not in findings(report(WINNER, worse))[0]


def test_the_key_figures_hold_the_winner_and_its_gain():
    page = render(report(WINNER, BASE, pairwise=table("top-5", "base", 0.02, 0.09, 0.16)))
    figures = dict(re.findall(r'<dt>([^<]*)</dt><dd><span class="large">([^<]*)<', page))
    assert figures["top-5, F1 on test"] == "0.790"
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
