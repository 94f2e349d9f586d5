"""Answers: read from a completion, and compared by value; see `rewards_generated.answers`, where they are made."""

from rewards_generated.answers import (
    ANSWER_FORMATS,
    AnswerFormat,
    AnswerKind,
    Extraction,
    PlainNumber,
    equal_answers,
    extract_answer,
    parse_number,
)

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
