"""Answers: read from a completion, and compared by value."""

from eval.answers.equality import equal_answers
from eval.answers.extraction import AnswerKind, Extraction, extract_answer
from eval.answers.formats import ANSWER_FORMATS, AnswerFormat
from eval.answers.number import PlainNumber, parse_number

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
