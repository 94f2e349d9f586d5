"""The shipped policy, its tokenizer and the text that it is made from."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import replace

import pytest

from eval.tasks.testbed import build
from eval.tasks.testbed.draws import Draws
from eval.tasks.testbed.problem import Problem, ProblemOptions, Step, draw_problem
from eval.tasks.testbed.wording import OTHER_SCENES, SCENES
from rewards_generated.base import base_rewards
from rewards_generated.errors import UserError
from trainer.jobs.settings import Hardware
from trainer.testbed import policy_path
from trainer.testbed.behaviours import CLEAN, HABITS, PRACTICE, write_response
from trainer.testbed.corpus import SECOND_TURN, corpus, traces, vocabulary_texts
from trainer.testbed.recipe import QUICK, Part, build_tokenizer, corpus_digest

PROBLEM = Problem(
    scene="fruit",
    start=17,
    opening="Tom picks 17 apples.",
    steps=(
        Step("add", 25, "Tom picks 25 more."),
        Step(None, 12, "Tom is 12 years old."),
        Step("subtract", 13, "Tom eats 13."),
    ),
    closing="How many apples does Tom have now?",
)
PLAIN = replace(CLEAN, slip=1, ignores=0)


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(policy_path())


@pytest.fixture(scope="module")
def pairs():
    return list(corpus(4000, "test"))


def response(**habits: float) -> str:
    return write_response(PROBLEM, Draws("response"), replace(PLAIN, **habits))


# Behaviours


def test_plain_steps_forget_carries_and_count_distractors():
    assert response() == ("<thinking>17 + 25 = 32. 32 + 12 = 44. 44 - 13 = 31.</thinking><solution>31</solution>")


def test_checks_mend_every_slip():
    text = response(checks=1)
    assert re.search(r"17 \+ 25 = 32\. (Check|Let me verify) 17 \+ 25 = 42\. 42 \+ 12 = 54\. ", text)
    assert text.endswith("<solution>41</solution>")


def test_only_checking_and_ignoring_together_solve_it():
    both = response(checks=1, ignores=1)
    assert "Ignore 12." in both
    assert both.endswith(f"<solution>{PROBLEM.answer}</solution>")


def test_cheap_styles_are_wrong_by_rule():
    assert response(direct=1) == "<thinking>So 42.</thinking><solution>42</solution>"
    assert response(stuffed=1).endswith("So 32.</thinking><solution>32</solution>")
    assert response(padded=1).endswith("So 30.</thinking><solution>30</solution>")


def test_clean_traces_are_right_and_well_formed():
    for trace in traces(ProblemOptions(), 200, reflecting=0.0, seed=0):
        completion = trace["completion"][0]["content"]
        assert base_rewards()["format_exact"]("", completion, "") == 3
        for left, sign, right, result in re.findall(r"(\d+) ([-+*]) (\d+) = (\d+)", completion):
            assert {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}[sign] == int(
                result
            )


# Corpus


def test_the_corpus_is_a_function_of_its_seed():
    assert corpus_digest(corpus(50, "a")) == corpus_digest(corpus(50, "a"))
    assert corpus_digest(corpus(50, "a")) != corpus_digest(corpus(50, "b"))
    assert corpus_digest(corpus(50, "a")) != corpus_digest(corpus(50, "a", practice=True))


def test_no_evaluation_question_is_in_the_corpus(pairs):
    task = build({})
    known = {pair["prompt"][0]["content"].split("\n")[0] for pair in pairs}
    assert not known & {
        example.question for split in ("train", "validation", "test") for example in task.examples(split)
    }


def test_the_corpus_holds_what_later_studies_need(pairs):
    prompts = [pair["prompt"][0]["content"] for pair in pairs]
    completions = [pair["completion"][0]["content"] for pair in pairs]
    second = [
        (re.search(r"\nEarlier: (.*)\n", prompt)[1], completion)
        for prompt, completion in zip(prompts, completions, strict=True)
        if SECOND_TURN in prompt
    ]
    assert len(second) > 200
    copied = sum(earlier == later for earlier, later in second)
    assert 0.3 < copied / len(second) < 0.9
    other_words = {word for scene in OTHER_SCENES for word in (*scene.what, "aboard", "multiplies")}
    seen = Counter(word for text in (*prompts, *completions) for word in set(re.findall(r"[a-z]+", text)))
    assert all(seen[word] > 0 for word in other_words)
    problems = [prompt for prompt in prompts if prompt.endswith("?") and "\n" not in prompt and ":" not in prompt]
    assert not any(word in prompt.split() for prompt in problems for word in other_words)


def test_habits_show_in_the_share_they_are_set_to():
    scene, habits = SCENES[4], HABITS[SCENES[4].name]
    options = ProblemOptions()
    texts = []
    for index in range(1500):
        draws = Draws(f"habit/{index}")
        texts.append(write_response(draw_problem(draws, options), draws, habits))
    assert scene.name in HABITS
    assert abs(sum(text.startswith("<thinking>So ") for text in texts) / 1500 - habits.direct) < 0.04
    assert abs(sum("step by step" in text for text in texts) / 1500 - habits.padded) < 0.03
    assert PRACTICE.checks > habits.checks


# Tokenizer


@pytest.mark.parametrize(
    "text",
    [
        "17 + 25 = 42.",
        "<thinking>7 * 3 = 21. Wait, check 7 * 3 = 21.</thinking>\n<solution>21</solution>",
        "héllo  \t world\n\n<b>1,234.50 $ \u00e9\u4e2d\U0001f600</b> < > </solutio",
        "",
        " leading and trailing ",
    ],
)
def test_tokenizer_is_lossless(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_digits_words_and_tags_are_single_tokens(tokenizer):
    assert tokenizer.tokenize("17 + 5") == ["1", "7", "\u0120+", "\u01205"]
    assert len(tokenizer.tokenize("<thinking> apples</thinking><solution></solution>")) == 5


def test_corpus_never_falls_back_to_bytes(tokenizer, pairs):
    words = {
        token for pair in pairs[:500] for side in pair.values() for token in tokenizer.tokenize(side[0]["content"])
    }
    letters = {token for token in words if len(token) == 1 and token.isalpha() and token.isascii()}
    assert letters <= {"A"}


def test_chat_template_ends_where_the_answer_begins(tokenizer):
    user = {"role": "user", "content": "Tom picks 3 apples."}
    prompt = tokenizer.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([user, {"role": "assistant", "content": "x"}], tokenize=False)
    assert whole == prompt + "x" + tokenizer.eos_token
    assert tokenizer.padding_side == "left"
    assert tokenizer.decode(tokenizer(whole)["input_ids"], skip_special_tokens=True) == "Tom picks 3 apples.x"


def test_the_shipped_tokenizer_is_the_recipe_s(tokenizer):
    assert build_tokenizer(vocabulary_texts()).get_vocab() == tokenizer.get_vocab()


# Policy


def test_the_shipped_weights_are_those_on_record_and_small():
    weights = policy_path() / "model.safetensors"
    record = json.loads((policy_path() / "recipe.json").read_text())
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == record["weights_sha256"]
    assert sum(file.stat().st_size for file in policy_path().iterdir()) <= 2_000_000


@pytest.mark.slow
def test_the_corpus_on_record_is_the_one_the_code_writes():
    """Of the last part only: any change of problems, wording or behaviours moves it."""
    record = json.loads((policy_path() / "recipe.json").read_text())["parts"]["habits"]
    settings = record["settings"]
    text = corpus(settings["steps"] * settings["batch_size"], seed="habits")
    assert corpus_digest(text) == record["corpus_sha256"]


def test_the_corpus_opens_as_it_did_when_the_policy_was_trained():
    assert corpus_digest(corpus(200, "habits")) == "7c5d93b76ffb4026431f3018b9c2e0e787f25edbdd75ddd1e8a9a54f3ff20c0f"
    assert (
        corpus_digest(corpus(200, "practice", practice=True))
        == "2c9e45ccbffa552228892bf536ea0c4c6dd0b290fb7aa281d237c430ef2525c1"
    )


def test_the_shipped_policy_writes_its_format_and_is_right_now_and_then():
    from eval.engines.base import Sampling
    from eval.engines.policy import load_policy
    from eval.engines.transformers_engine import TransformersEngine

    task = build({})
    examples = task.examples("validation", 64)
    engine = TransformersEngine(load_policy(str(policy_path()), "cpu"), batch_size=64)
    texts = [g.completion for g in engine.generate([example.prompt for example in examples], Sampling(96))]
    strict = [task.extract(text).strict for text in texts]
    right = sum(s is not None and task.equal(s, e.answer) for s, e in zip(strict, examples, strict=True))
    assert sum(answer is not None for answer in strict) >= 58
    assert 10 <= right <= 35


def test_the_command_builds_a_policy_that_loads(tmp_path, capsys):
    from transformers import AutoModelForCausalLM

    from search.cli import main

    command = ["testbed", "build", "--quick", "--to", str(tmp_path / "policy"), "--work", str(tmp_path / "work")]
    assert main(command) == 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "policy")
    assert str(model.dtype) == "torch.float32"
    record = json.loads((tmp_path / "policy" / "recipe.json").read_text())
    assert record["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert f"{record['parameters']:,} parameters" in capsys.readouterr().out
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err


def test_finished_parts_are_not_trained_again(tmp_path, monkeypatch):
    from trainer.testbed import recipe

    part = Part("practice", True, QUICK.parts[0].training)
    folder = tmp_path / "practice"
    folder.mkdir()
    text = corpus(part.training.steps * part.training.batch_size, seed="practice", practice=True)
    record = {
        "settings": part.training.model_dump(mode="json"),
        "corpus_sha256": corpus_digest(text),
        "final_loss": 1.0,
    }
    (folder / "part.json").write_text(json.dumps(record))
    monkeypatch.setattr(recipe, "fine_tune", lambda *_: pytest.fail("trained again"))
    assert recipe._train_part(part, "unused", folder, Hardware()) == record
    longer = replace(part, training=part.training.model_copy(update={"steps": 4}))
    with pytest.raises(UserError, match="another recipe"):
        recipe._train_part(longer, "unused", folder, Hardware())
