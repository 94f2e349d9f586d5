import pytest

from rewards_generated.answers import ANSWER_FORMATS, AnswerFormat, format_in, format_name, read_format, written_format
from rewards_generated.answers.in_format import in_format
from rewards_generated.ensemble import Ensemble, Member, load
from rewards_generated.errors import UserError
from rewards_generated.gate import check
from rewards_generated.library import load_library

OWN = AnswerFormat("plan", None, reasoning_opened=True)


@pytest.mark.parametrize("form", [*ANSWER_FORMATS.values(), OWN, AnswerFormat(None, "final")])
def test_a_format_is_written_and_read_again(form):
    assert read_format(format_name(form)) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("boxed", ANSWER_FORMATS["boxed"]),
        ("think/answer", ANSWER_FORMATS["answer"]),
        ("think/boxed", AnswerFormat("think", None)),
        ("-/final", AnswerFormat(None, "final")),
    ],
)
def test_formats_on_a_command_line(text, form):
    assert written_format(text) == form


@pytest.mark.parametrize("text", ["box", "<think>/answer", "a/a"])
def test_what_is_no_format_is_said(text):
    with pytest.raises(ValueError, match=r"no answer format|is no tag|must differ"):
        written_format(text)


def test_the_format_that_a_code_looks_for():
    assert format_in('m = re.search(r"\\\\boxed{(.*)}", completion)') == ANSWER_FORMATS["boxed"]
    assert format_in('completion.split("<answer>")') == ANSWER_FORMATS["answer"]
    assert format_in('"<answer>" in completion or "<solution>" in completion') is None
    assert format_in("return float(len(completion))") is None


@pytest.mark.parametrize(
    "form", [ANSWER_FORMATS["answer"], ANSWER_FORMATS["boxed"], OWN], ids=["answer", "boxed", "own"]
)
def test_the_library_passes_the_gate_in_every_format_as_in_its_own(form):
    """Of those that look for marks: the others do not change."""
    from rewards_generated.answers import AnswerRules

    written = {item.name: item for item in load_library()}
    changed = [item for item in load_library(form) if item.code != written[item.name].code]
    assert len(changed) >= 8
    for item in changed:
        if form.answer_tag is None:
            assert "<solution>" not in item.code
        if item.role == "reward" and item.family == "correctness":
            verdict = check(item.code, answers=AnswerRules(form))
            assert verdict.accepted, (item.name, verdict.reasons)


def test_marks_are_replaced_in_patterns_and_in_texts():
    code = (
        'import re\n\nBLOCK = re.compile(r"<solution>([^<]+)</solution>")\n\n\n'
        'def reward(prompt, completion, answer):\n    """Of <solution> é."""\n'
        '    return float("<solution>" in completion) + completion.count("</thinking>")\n'
    )
    boxed = in_format(code, ANSWER_FORMATS["boxed"])
    assert r're.compile(r"\\boxed\{([^{}]+)\}")' in boxed
    assert '"\\\\boxed{" in completion' in boxed
    assert 'completion.count("")' in boxed
    swapped = in_format(code, AnswerFormat("solution", "thinking"))
    assert 're.compile(r"<thinking>([^<]+)</thinking>")' in swapped
    assert 'completion.count("</solution>")' in swapped


def test_an_ensemble_keeps_its_format(tmp_path):
    members = (Member(name="answer_check"), Member(name="mine", code="def reward(p, c, a):\n    return 1.0\n"))
    plain = Ensemble(name="e", members=members)
    boxed = Ensemble(name="e", members=members, answer_format=ANSWER_FORMATS["boxed"], answer_kind="mathematics")
    own = Ensemble(name="e", members=members, answer_format=OWN)
    for place, ensemble in enumerate((plain, boxed, own)):
        file = ensemble.save(tmp_path / f"{place}.toml")
        assert load(file) == ensemble
        assert load(file).identity == ensemble.identity
    assert len({plain.identity, boxed.identity, own.identity}) == 3
    assert "answer_format" not in (tmp_path / "0.toml").read_text()
    assert 'answer_format = "boxed"' in (tmp_path / "1.toml").read_text()
    assert boxed("p", "so \\boxed{\\frac{2}{4}}", "0.5") == 4.0
    (tmp_path / "bad.toml").write_text('answer_format = "box"\n[[members]]\nname = "answer_check"\n')
    with pytest.raises(UserError, match=r"'box'.* is no answer format"):
        load(tmp_path / "bad.toml")


def test_a_member_of_the_library_is_read_in_the_ensembles_format(tmp_path):
    (tmp_path / "e.toml").write_text('answer_format = "boxed"\n[[members]]\nname = "right_only_bonus"\n')
    assert "boxed" in (load(tmp_path / "e.toml").members[0].code or "")
