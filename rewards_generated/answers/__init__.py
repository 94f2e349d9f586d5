"""Answers: read from a completion, and compared by value."""

from rewards_generated.answers.equality import equal_answers
from rewards_generated.answers.extraction import AnswerKind, Extraction, extract_answer
from rewards_generated.answers.formats import ANSWER_FORMATS, AnswerFormat
from rewards_generated.answers.number import PlainNumber, parse_number

__all__ = [
    "ANSWER_FORMATS",
    "AnswerFormat",
    "AnswerKind",
    "Extraction",
    "PlainNumber",
    "equal_answers",
    "extract_answer",
    "parse_number",
]
