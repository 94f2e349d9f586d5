"""Sets of rewards: their text there and back, identity, and what is refused."""

from __future__ import annotations

import pytest

from rewards_generated.ensemble import Member
from rewards_generated.errors import UserError
from rewards_generated.reward_set import RewardSet, candidate_identity, read_set
from rewards_generated.schedule import Schedule

CODE = (
    "import re\n\n\ndef reward(prompt, completion, answer):\n    return float(len(re.findall(r'\\d+', completion)))\n"
)
FADING = Schedule(kind="linear", to=0.0)


def one(**fields: object) -> Member:
    return Member.model_validate({"name": "numbers", "code": CODE, **fields})


@pytest.mark.parametrize(
    "code",
    [
        CODE,
        "# '''\n" + CODE,
        '"""Says "this".\n\nAnd \\n."""\n' + CODE,
        "'é\tü ½'\n" + CODE + "'",
        "# \x07\n" + CODE,
        "\n\n" + CODE,
        CODE.rstrip(),
    ],
)
def test_text_there_and_back(code: str) -> None:
    written = RewardSet(
        replaces=("format_exact",),
        rewards=(
            one(name='a "b"', code=code, weight=1 / 3),
            one(schedule=Schedule(kind="switch", to=-1e-20, at=0.25)),
        ),
    )
    assert read_set(written.text()) == written


def test_code_stands_in_the_text_as_it_is() -> None:
    text = RewardSet(rewards=(one(weight=2.0, schedule=FADING),)).text()
    assert text == (
        '[[rewards]]\nname = "numbers"\nweight = 2.0\nschedule = { kind = "linear", to = 0.0 }\n'
        f"code = '''\n{CODE}'''\n"
    )


def test_identity_knows_weights_schedules_and_what_is_replaced_but_no_names() -> None:
    other = one(name="other", code=CODE + "X = 1\n", weight=2.0)
    same = [
        RewardSet(rewards=(one(), other)),
        RewardSet(rewards=(other, one(name="renamed", code=CODE.replace("\n\n\n", "\n")))),
    ]
    different = [
        RewardSet(rewards=(one(),)),
        RewardSet(rewards=(one(weight=2.0),)),
        RewardSet(rewards=(one(schedule=FADING),)),
        RewardSet(rewards=(one(schedule=Schedule(kind="switch", to=0.0, at=0.5)),)),
        RewardSet(rewards=(one(),), replaces=("format_exact",)),
    ]
    assert same[0].identity == same[1].identity
    assert len({item.identity for item in (*same, *different)}) == 6
    assert candidate_identity(same[0].text(), "reward_set") == same[0].identity
    assert candidate_identity("def reward(", "reward") is None
    arrangements = [item.arrangement for item in different]
    assert arrangements[0] == arrangements[1] == arrangements[4] == ()
    assert len(set(arrangements)) == 3


def test_a_reward_alone_has_the_name_of_its_set() -> None:
    assert [member.name for member in RewardSet(rewards=(one(),)).members("mine")] == ["mine"]
    several = RewardSet(rewards=(one(), one(name="b", weight=2.0)))
    assert [(member.name, member.weight) for member in several.members("mine")] == [
        ("mine.numbers", 1.0),
        ("mine.b", 2.0),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rewards = 3", "`rewards` = 3"),
        ("[[rewards]]\nname = 'a'\ncode = ", "the set is not valid TOML"),
        (
            "replaces = ['format']\n" + RewardSet(rewards=(one(),)).text(),
            "`replaces` names 'format'; choose",
        ),
        ("[[rewards]]\nname = 'answer_check'", "reward 'answer_check' has no code"),
        (RewardSet(rewards=(one(),)).text().replace("1.0", "0.0"), "the weight of reward 'numbers' is 0"),
        (RewardSet(rewards=(one(),)).text() * 2, "the set names 'numbers' twice"),
        (RewardSet(rewards=(one(),)).text() * 4, "the set has 4 rewards; it may have one to 3"),
        ("rewards = []", "the set has 0 rewards"),
        ("[[rewards]]\nname = 'a'\ncode = 'x'\nscale = 2", "has no field 'scale'"),
    ],
)
def test_what_is_no_set_is_told_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as raised:
        read_set(text)
    assert sentence in str(raised.value)


def test_only_base_rewards_of_the_search_can_be_replaced() -> None:
    RewardSet(rewards=(one(),), replaces=("format_exact",)).require_replaceable(("format_exact",))
    with pytest.raises(UserError, match="'format_exact', which this search does not use; choose from answer_check"):
        RewardSet(rewards=(one(),), replaces=("format_exact",)).require_replaceable(("answer_check",))
