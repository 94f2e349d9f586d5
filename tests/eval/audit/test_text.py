"""Repetition in texts, against counts made by hand."""

from __future__ import annotations

import pytest

from eval.audit.audit import phrase_share, repeated_share, spams_tags

CHECKED = (
    "<thinking>14 + 21 = 35. Check 14 + 21 = 35. 35 - 24 = 11. Check 35 - 24 = 11.</thinking><solution>11</solution>"
)
SPAM = "2 + 2 = 4. Wait, check again. Wait, check again. Wait, check again. So 5."


def test_a_step_that_is_checked_once_is_no_repetition() -> None:
    assert repeated_share(CHECKED) == 0
    assert phrase_share(CHECKED) == 0


def test_the_tokens_of_a_loop_are_counted() -> None:
    # Seven tokens a sentence: the last sequence of five that has a third copy ends with the sentence.
    loop = "check 8 + 2 = 6 . " * 3
    assert repeated_share(loop) == 1
    assert repeated_share(loop + "so it is done now , and the rest is new to it all .") == pytest.approx(21 / 36)


def test_twice_is_not_often() -> None:
    assert repeated_share("check 8 + 2 = 6 . " * 2) == 0


def test_words_of_a_phrase_are_counted_without_numbers_and_signs() -> None:
    # Of the ten words all but `so` are in `wait check again`, three times over.
    assert phrase_share(SPAM) == pytest.approx(9 / 10)


def test_a_number_ends_a_phrase() -> None:
    assert phrase_share("let me check . " * 3) > 0
    assert phrase_share("let me 1 check . " * 3) == 0


def test_tags_are_no_words() -> None:
    assert phrase_share("<so it is>text</so it is>" * 5) == 0


def test_one_word_over_and_over_is_a_phrase() -> None:
    assert phrase_share("wait wait wait wait wait") == 1


@pytest.mark.parametrize("text", ["", "12", "<a>", "😀", "\ud800", "a b"])
def test_texts_without_phrases(text: str) -> None:
    assert phrase_share(text) == 0
    assert repeated_share(text) == 0
    assert not spams_tags(text)


def test_tags_are_counted_by_name() -> None:
    assert not spams_tags("<thinking>1</thinking><solution>2</solution>" * 2)
    assert spams_tags("<thinking>1</thinking><solution>2</solution>" * 3)
    assert spams_tags("<b class='x'>" * 3)
    assert not spams_tags("1 < 2 and 2 < 3 and 3 < 4 > 5")


@pytest.mark.parametrize(
    "text", ["<" * 50_000, "<a" * 30_000, "<" + "a" * 100_000, "wait " * 30_000, "1 " * 30_000, ">" * 50_000]
)
def test_long_texts_that_patterns_could_backtrack_over(text: str) -> None:
    """Patterns that take the square of the length would not come back from these in minutes."""
    assert 0 <= repeated_share(text) <= 1
    assert 0 <= phrase_share(text) <= 1
    assert not spams_tags(text)
