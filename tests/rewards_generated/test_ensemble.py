"""Ensembles as data: validation in sentences, identity, and TOML there and back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rewards_generated
from rewards_generated import ensemble as ensemble_module
from rewards_generated.base import BASE_REWARDS
from rewards_generated.ensemble import Ensemble, Member, how_found, load, saved_names
from rewards_generated.errors import UserError
from rewards_generated.library import library_codes

CODE = 'def reward(prompt, completion, answer):\n    """A \\"\\"\\" and a \\\\ and ü."""\n    return 1.0\n'
BASE = tuple(Member(name=name) for name in BASE_REWARDS)


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    ensemble = Ensemble(
        name="mixed",
        members=(*BASE[:1], Member(name="mine", code=CODE, weight=0.25, mean=0.1, std=0.3)),
    )
    path = ensemble.save(tmp_path / "mixed.toml")
    assert load(path) == ensemble
    assert rewards_generated.load(str(path)) == ensemble


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.floats(-1e9, 1e9))
def test_any_code_and_weight_survive(code: str, weight: float) -> None:
    import tomllib

    import tomli_w

    ensemble = Ensemble(name="any", members=(Member(name="mine", code=code, weight=weight),))
    document = tomllib.loads(tomli_w.dumps(ensemble.model_dump(exclude_none=True), multiline_strings=True))
    assert Ensemble.model_validate(document) == ensemble


def test_saving_never_replaces_a_file_unasked(tmp_path: Path) -> None:
    ensemble = Ensemble(name="base", members=BASE)
    path = ensemble.save(tmp_path / "base.toml")
    with pytest.raises(UserError, match="exists already"):
        ensemble.save(path)
    ensemble.model_copy(update={"name": "other"}).save(path, overwrite=True)
    assert load(path).name == "other"
    assert [item.name for item in tmp_path.iterdir()] == ["base.toml"]


def test_loads_by_name_from_the_saved_ensembles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble_module, "SAVED", tmp_path)
    (tmp_path / "found").mkdir()
    Ensemble(name="found", members=BASE).save(tmp_path / "found" / "ensemble.toml")
    Ensemble(name="other", members=BASE).save(tmp_path / "other.toml")
    assert saved_names() == ["found", "other"]
    assert load("found").name == "found"
    assert load("other").name == "other"
    with pytest.raises(UserError, match="saved: found, other"):
        load("missing")


def test_members_may_stand_in_files_or_come_from_the_library(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "ensemble.toml").write_text(
        '[[members]]\nname = "answer_check"\n'
        '[[members]]\nname = "repair"\nweight = 2\n'
        '[[members]]\nname = "mine"\nfile = "mine.py"\n'
    )
    ensemble = load(tmp_path)
    assert ensemble.name == tmp_path.name
    assert [member.code for member in ensemble.members] == [None, library_codes()["repair"], CODE]
    assert [member.weight for member in ensemble.members] == [1.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "not valid TOML"),
        ('name = "x"', "`members` must be a list of tables"),
        ('name = "x"\nmembers = []', "no members"),
        ('[[members]]\nname = "nobody"', "'nobody' has no code and is none of the base rewards"),
        ('[[members]]\nname = "answer_check"\ncode = "x"', "name of a base reward"),
        ('[[members]]\nname = "repair"\n[[members]]\nname = "repair"', "'repair' more than once"),
        ('[[members]]\nname = "repair"\nweight = nan', "weight is nan"),
        ('[[members]]\nname = "repair"\nstd = -1', "std is -1"),
        ('[[members]]\nname = "repair"\nwait = 1', "`members.0.wait` is unknown"),
        ('[[members]]\nname = "repair"\nweight = "much"', "`members.0.weight` = 'much'"),
        ('aggregation = "mean"\n[[members]]\nname = "repair"', "`aggregation` = 'mean': should be 'sum', 'zscore'"),
        ('aggregation = "zscore"\n[[members]]\nname = "repair"', "has no mean and std"),
        ('[[members]]\nname = "mine"\nfile = "gone.py"', "gone.py"),
        ('[[members]]\nname = "mine"\nfile = "gone.py"\ncode = "x"', "both `code` and `file`"),
        ("[[members]]\nweight = 1", "`members.0.name` is missing"),
        ('[[members]]\nname = " "', "empty name"),
    ],
)
def test_mistakes_are_told_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value).strip()


def test_how_it_was_found_is_kept_in_the_file_and_not_in_the_ensemble(tmp_path: Path) -> None:
    ensemble = load("base_rewards")
    path = ensemble.save(tmp_path / "kept.toml", found=["By hand.", 'With "quotes".'])
    assert how_found(path) == ("By hand.", 'With "quotes".')
    assert load(path) == ensemble
    path.write_text('found = "By hand."\n[[members]]\nname = "repair"')
    with pytest.raises(UserError, match="`found` must be a list of sentences"):
        how_found(path)


def test_identity_is_that_of_the_totals() -> None:
    members = (*BASE, Member(name="mine", code=CODE, weight=2.0, mean=0.0, std=1.0))
    ensemble = Ensemble(name="a", members=members)

    def variant(**changes: object) -> str:
        return Ensemble(name="b", members=(*BASE, members[-1].model_copy(update=changes))).identity

    assert Ensemble(name="b", members=members[::-1]).identity == ensemble.identity
    assert variant(name="renamed") == ensemble.identity
    assert variant(code="# a comment\n" + CODE) == ensemble.identity
    assert variant(mean=0.5) == ensemble.identity
    assert variant(weight=2.5) != ensemble.identity
    assert variant(code=CODE.replace("1.0", "2.0")) != ensemble.identity
    normalised = Ensemble(name="a", members=members, aggregation="group_normalised")
    assert normalised.identity != ensemble.identity


def test_identity_of_unreadable_code_is_a_sentence() -> None:
    with pytest.raises(UserError, match="member 'mine': its code is not Python"):
        _ = Member(name="mine", code="def (").identity


def test_every_saved_ensemble_loads_by_its_name() -> None:
    assert "base_rewards" in saved_names()
    for name in saved_names():
        assert rewards_generated.load(name).name == name
    assert {member.name for member in rewards_generated.load("base_rewards").members} == set(BASE_REWARDS)


def test_a_schedule_is_data_and_part_of_the_identity(tmp_path: Path) -> None:
    text = """
    name = "fading"
    [[members]]
    name = "answer_check"
    [[members]]
    name = "format_exact"
    schedule = { kind = "linear", to = 0.0 }
    [[members]]
    name = "mine"
    weight = 0.5
    schedule = { kind = "switch", to = 2.0, at = 0.25 }
    code = "def reward(prompt, completion, answer): return 1.0"
    """
    (tmp_path / "fading.toml").write_text(text, encoding="utf-8")
    ensemble = load(tmp_path / "fading.toml")
    assert ensemble.scheduled == ("format_exact", "mine")
    assert [member.weight_at(0.5) for member in ensemble.members] == [1.0, 0.5, 2.0]
    assert repr(ensemble).endswith(
        "1 answer_check, 1 to 0 over the run format_exact, 0.5 to 2 after 25% of the steps mine>"
    )
    assert load(ensemble.save(tmp_path / "again.toml")) == ensemble
    constant = [member.model_copy(update={"schedule": None}) for member in ensemble.members]
    identities = {ensemble.identity, ensemble.model_copy(update={"members": tuple(constant)}).identity}
    later = constant[2].model_copy(update={"schedule": ensemble.members[2].schedule.model_copy(update={"at": 0.3})})  # type: ignore[union-attr]
    identities |= {ensemble.model_copy(update={"members": (*constant[:2], later)}).identity}
    assert len(identities) == 3


def test_without_schedules_digests_and_files_are_as_they_were() -> None:
    """Fixed at the version before there were schedules."""
    assert load("testbed_top_5").identity == "f36ae04e489eb4606f59e6668b65f0da3a0a36136d52b84b72087252f03c2be8"
    assert "schedule" not in Ensemble(name="base", members=BASE).model_dump_json()


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        ('{ kind = "linear", to = inf }', "member 'format_exact': schedule.to is inf; it must be a finite number"),
        ('{ kind = "linear", to = 1.0 }', "its schedule goes from 1 to 1; leave `schedule` out"),
        ('{ kind = "switch", to = 0.0 }', "schedule.at is missing; a switch needs the share"),
        ('{ kind = "switch", to = 0.0, at = 20 }', "schedule.at is 20; it must be a share of the run's steps"),
        ('{ kind = "linear", to = 0.0, at = 0.5 }', "schedule.at is 0.5, which only a switch has"),
        ('{ kind = "cosine", to = 0.0 }', "`members.0.schedule.kind` = 'cosine': should be 'linear' or 'switch'"),
        ('{ kind = "linear", till = 0.0 }', "has no field 'till'"),
        ('{ kind = "linear" }', "`members.0.schedule.to` is missing"),
    ],
)
def test_a_wrong_schedule_is_one_sentence(schedule: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(f'[[members]]\nname = "format_exact"\nschedule = {schedule}\n', encoding="utf-8")
    with pytest.raises(UserError) as raised:
        load(tmp_path / "e.toml")
    assert sentence in str(raised.value)


def test_a_strangers_file_is_read_within_limits(tmp_path: Path) -> None:
    reward = 'def reward(prompt: str, completion: str, answer: str) -> float:\n    """One."""\n    return 1.0\n'
    (tmp_path / "outside.py").write_text(reward)
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "inside.py").write_text(reward)
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    os.mkfifo(folder / "pipe.py")

    def read(text: str) -> str:
        (folder / "e.toml").write_text(text)
        try:
            return str(len(load(folder / "e.toml").members))
        except UserError as error:
            return str(error)

    assert read('[[members]]\nname = "a"\nfile = "inside.py"') == "1"
    for file in ("../outside.py", str(tmp_path / "outside.py"), "link.py", "pipe.py", "/dev/zero"):
        assert "is no regular file below" in read(f'[[members]]\nname = "a"\nfile = "{file}"'), file
    many = "".join(f'[[members]]\nname = "m{n}"\nfile = "inside.py"\n' for n in range(101))
    assert "at most 100 are taken" in read(many)
    for number in ("inf", "nan", "1e400", "1e12", "-1e10"):
        assert "finite number of at most" in read(f'[[members]]\nname = "answer_check"\nweight = {number}'), number
    assert "not valid TOML" in read(f"x = {'9' * 5000}")
    assert "valid" in read(f'[[members]]\nname = "answer_check"\nweight = {"9" * 4000}')
    assert "nested too deeply" in read(f"x = {'[' * 5000}")
    assert "levels" in read(f"x = {'[' * 20}{']' * 20}\n")
    assert "keys" in read("".join(f"k{n} = 1\n" for n in range(10_001)))


def test_a_folder_is_no_ensemble_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base_rewards").mkdir()
    (tmp_path / "base_rewards" / "ensemble.toml").write_text('name = "theirs"\n[[members]]\nname = "answer_check"\n')
    assert load("base_rewards").name != "theirs"
    assert load("./base_rewards").name == "theirs"
