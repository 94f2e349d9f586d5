"""Answers: read from a completion, and compared by value."""

from rewards_generated.answers.equality import equal_answers
from rewards_generated.answers.extraction import AnswerKind, Extraction, extract_answer
from rewards_generated.answers.formats import (
    ANSWER_FORMATS,
    AnswerFormat,
    format_in,
    format_name,
    read_format,
    written_format,
)
from rewards_generated.answers.number import PlainNumber, parse_number
from rewards_generated.answers.reader import AnswerReader, AnswerRules, is_right

__all__ = [
    "ANSWER_FORMATS",
    "AnswerFormat",
    "AnswerKind",
    "AnswerReader",
    "AnswerRules",
    "Extraction",
    "PlainNumber",
    "equal_answers",
    "extract_answer",
    "format_in",
    "format_name",
    "is_right",
    "parse_number",
    "read_format",
    "written_format",
]
