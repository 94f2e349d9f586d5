"""The parser against what models really send. Each reply was written by hand after a kind of slip seen in the wild."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.proposers.replies.reply import parse_reply, readable_name
from search.proposers.replies.source import LONGEST_CODE
from tests.search.proposers.examples import as_json, code, fenced

ONE, TWO = ("one", "reflection", code(1.0)), ("two", "process", code(2.0))
WITH_FENCE = (
    '"""Rewards code blocks."""\n\nMARK = """\n```\n"""\n\n\n'
    "def reward(prompt, completion, answer):\n    return float(MARK in completion)\n"
)
WITH_REGEX = (
    "import re\n\n\ndef reward(prompt, completion, answer):\n"
    '    return float(len(re.findall(r"\\bcheck\\d", completion)))\n'
)


def reasons(reply: str, finish_reason: str = "stop") -> list[str]:
    return [item.reason for item in parse_reply(reply, finish_reason)[1]]


def names(reply: str, finish_reason: str = "stop") -> list[str]:
    return [item.name for item in parse_reply(reply, finish_reason)[0]]


@pytest.mark.parametrize(
    "reply",
    [
        fenced(ONE, TWO),
        as_json(ONE, TWO),
        json.dumps(json.loads(as_json(ONE, TWO)), indent=2),
        "Here you are:\n\n" + as_json(ONE, TWO) + "\n\nI hope this helps [1].",
        "As asked [1], in JSON:\n```json\n" + as_json(ONE, TWO) + "\n```\nDone.",
        "<think>first def reward(a): ... no ```python\nx\n``` hm</think>\n" + fenced(ONE, TWO),
        json.dumps(json.loads(as_json(ONE, TWO))["candidates"]),
        json.dumps({"reward_functions": json.loads(as_json(ONE, TWO))["candidates"]}),
        as_json(ONE, TWO).replace("}]}", "},]}"),
        as_json(ONE, TWO)[:-2],
        as_json(ONE, TWO).replace("\\n", "\n"),
        as_json((*ONE[:2], f"```python\n{ONE[2]}```"), TWO),
        as_json((*ONE[:2], ONE[2].replace("\n", "\\n").replace('"', '\\"')), TWO),
        fenced(ONE, TWO)
        .replace("name: one", "**Name:** `one`")
        .replace("family: reflection", "- *Family*: Reflection"),
        fenced(ONE, TWO).replace("```python", "~~~py").replace("```", "~~~"),
        fenced(ONE, TWO).replace("\n", "\r\n"),
        fenced(ONE, TWO).replace("```python", "````python").replace(")\n```", ")\n````"),
        "\n".join("   " + line for line in fenced(ONE, TWO).split("\n")),
        "Run it so:\n```bash\npython reward.py\n```\n" + fenced(ONE, TWO),
    ],
)
def test_candidates_are_found_in_every_form(reply: str) -> None:
    items, unusable = parse_reply(reply)
    assert [(item.name, item.family, item.code.strip()) for item in items] == [
        (name, family, source.strip()) for name, family, source in (ONE, TWO)
    ]
    assert unusable == []


def test_code_without_any_fence() -> None:
    items, unusable = parse_reply("Here it is.\n\n" + code(1.0) + "\nIt counts the word check, up to three times.")
    assert [item.code.strip() for item in items] == [code(1.0).strip()]
    assert unusable == []


def test_a_fence_inside_a_string_does_not_end_the_block() -> None:
    items, _ = parse_reply(fenced(("fence", "format", WITH_FENCE), ONE))
    assert [item.name for item in items] == ["fence", "one"]
    assert items[0].code == WITH_FENCE


def test_regexes_survive_json_that_was_not_escaped() -> None:
    proper = as_json(("regex", "process", WITH_REGEX))
    careless = proper.replace("\\\\b", "\\b").replace("\\\\d", "\\d")
    only_valid_escapes = proper.replace("\\\\b", "\\b")
    for reply in (proper, careless, only_valid_escapes):
        assert parse_reply(reply)[0][0].code == WITH_REGEX


def test_headings_comments_and_docstrings_stand_in_for_missing_headers() -> None:
    by_heading = f"### Candidate 2: Arithmetic checks!\n```python\n{code(1.0)}```"
    by_comment = f"```python\n# name: counted\n# family: process\n{code(2.0)}```"
    assert names(by_heading) == ["arithmetic_checks"]
    assert names(by_comment) == ["counted"]
    item = parse_reply(f"```\n{code(3.0).replace('Counts', 'Reflection counts')}```")[0][0]
    assert (item.name, item.family, item.description) == (
        "candidate",
        "reflection",
        "Reflection counts the word check.",
    )


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def reward(prompt, completion, answer):\n    return 1.0 +\n", "invalid syntax (line 2)"),
        ("def score(prompt, completion, answer):\n    return 1.0\n", "define `def reward"),
        ("def reward(completion):\n    return 1.0\n", "1 positional arguments"),
        ("def reward(completions, **kwargs):\n    return [1.0 for _ in completions]\n", "takes lists"),
        ("async def reward(prompt, completion, answer):\n    return 1.0\n", "async"),
        ("x = 1\0\ndef reward(prompt, completion, answer):\n    return 1.0\n", "null"),
        (code(1.0) + "#" * LONGEST_CODE + "\n", "characters"),
        (f"def reward(prompt, completion, answer):\n    return {'(' * 300}1.0{')' * 300}\n", "nested"),
    ],
)
def test_unusable_code_is_malformed_with_words_to_act_on(source: str, problem: str) -> None:
    for reply in (fenced(("bad", "process", source), ONE), as_json(("bad", "process", source), ONE)):
        items, unusable = parse_reply(reply)
        assert [item.name for item in items] == ["one"]
        assert [item.reason for item in unusable] == ["malformed"]
        assert problem in unusable[0].detail


def test_one_broken_json_item_costs_only_itself() -> None:
    broken = '"name": "one", "code": {"a": [,'
    reply = as_json(ONE, TWO).replace('"name": "one",', broken).replace("count('check'))", "", 1)
    assert names(reply) == ["two"]
    assert reasons(reply) == ["malformed"]


@pytest.mark.parametrize(
    ("whole", "broken"),
    [
        ('"name": "one",', '"name": "one"'),
        ('"name": "one",', '"name": "one" : oops,'),
        ("}, {", "} {"),
        ("'check'", '"check"'),
    ],
)
def test_missing_commas_and_quotes_are_repaired(whole: str, broken: str) -> None:
    assert whole in as_json(ONE, TWO)
    items, unusable = parse_reply(as_json(ONE, TWO).replace(whole, broken))
    assert [item.name for item in items] == ["one", "two"]
    assert all("lower().count(" in item.code for item in items)
    assert unusable == []


def test_a_json_item_without_code_is_malformed() -> None:
    assert reasons('{"candidates": [{"name": "empty", "code": ""}, 7]}') == ["malformed", "malformed"]


def test_every_cut_of_a_reply_gives_whole_candidates_and_says_what_was_cut() -> None:
    for whole in (fenced(ONE, TWO), as_json(ONE, TWO)):
        for end in range(1, len(whole)):
            items, unusable = parse_reply(whole[:end], "length")
            assert all(item.code.strip() in (ONE[2].strip(), TWO[2].strip()) for item in items)
            assert "truncated" in [item.reason for item in unusable], whole[:end]


def test_refusals_are_told_from_chatter() -> None:
    assert reasons("I'm sorry, but I can't help with reward functions.") == ["refused"]
    assert reasons("", "content_filter") == ["refused"]
    assert reasons("no way", "refusal") == ["refused"]
    assert reasons("Reward functions are fascinating.") == ["malformed"]
    assert reasons("") == ["malformed"]
    assert reasons("```python\nprint('hello')\n```") == ["malformed"]
    assert reasons(fenced(ONE), "content_filter") == ["refused"]


@pytest.mark.parametrize(
    "filler", [" ", "\n", "{", "[", '"', "`", "```\n", "# ", "*", "name:", "\\", "(", "<think>", "def "]
)
def test_a_reply_that_ran_into_repetition_is_read_in_passing(filler: str) -> None:
    """Models that get stuck repeat one token to their limit; an expression that backtracks would never end here."""
    for reply in (filler * 60_000, fenced(ONE) + filler * 60_000, "name: one" + filler * 60_000 + fenced(TWO)):
        items, unusable = parse_reply(reply, "length")
        assert len(items) <= 1
        assert unusable


def test_names_are_plain() -> None:
    assert readable_name("  My *Great* Reward!  ") == "my_great_reward"
    assert readable_name("2nd try") == "reward_2nd_try"
    assert readable_name("☃") == ""
    assert len(readable_name("x" * 200)) == 48
    assert names(fenced(("☃", "process", code(1.0)))) == ["candidate"]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *fenced(ONE, TWO).split("\n"),
                *as_json(ONE).split(","),
                "```",
                "```json",
                "{",
                "[",
                '"',
                "\\",
                "\0",
                "\ud800",
                "name:",
            ]
        )
        | st.text(max_size=8),
        max_size=40,
    ),
    st.sampled_from(["stop", "length", "content_filter", ""]),
    st.sampled_from(["\n", "", ","]),
)
def test_no_reply_breaks_the_parser(pieces: list[str], finish_reason: str, glue: str) -> None:
    items, unusable = parse_reply(glue.join(pieces), finish_reason)
    assert items or unusable
    for item in items:
        compile(item.code, "candidate", "exec")
