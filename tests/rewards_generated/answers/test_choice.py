import pytest

from rewards_generated.answers import ANSWER_FORMATS, equal_answers, extract_answer
from rewards_generated.answers.choice import letter_of


@pytest.mark.parametrize(
    "text",
    ["B", "b", " (B) ", "B)", "B.", "**B**", "**B.**", "[B]", "B: a muon", "B) a muon", "$B$", "\\text{B}",
     "\\boxed{B}", "\\textbf{(B)}", "Option B", "choice: B", "Answer: B",
     "B, since it is heavy"],
)  # fmt: skip
def test_a_letter_in_many_forms(text):
    assert letter_of(text) == "B"
    assert equal_answers(text, "B", "choice")
    assert not equal_answers(text, "A", "choice")


@pytest.mark.parametrize("text", ["", "a muon", "A muon", "BC", "B or C", "7", "Both", "(", "B" * 2000])
def test_what_is_no_letter(text):
    assert letter_of(text) is None
    assert not equal_answers(text, "B", "choice")


@pytest.mark.parametrize(
    ("completion", "strict", "flexible"),
    [
        ("<solution>C</solution>", "C", "C"),
        ("<solution>The answer is (C).</solution>", "C", "C"),
        ("I weigh them. The answer is C.", None, "C"),
        ("The correct answer is **(C)** because of A.", None, "C"),
        ("so \\boxed{C}", None, "C"),
        ("Is it A? Perhaps.", None, None),
    ],
)
def test_a_letter_is_read_from_completions(completion, strict, flexible):
    found = extract_answer(completion, ANSWER_FORMATS["solution"], "choice")
    assert found.flexible is None if flexible is None else letter_of(found.flexible) == flexible
    assert found.strict is None if strict is None else letter_of(found.strict) == strict
