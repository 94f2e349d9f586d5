"""Environments of the old form with just what a task asks of them, so that no package is needed."""

from __future__ import annotations

import re
from types import SimpleNamespace


class Rows(list):
    def select(self, wanted):
        return Rows(self[place] for place in wanted)


class Parser:
    def parse_answer(self, completion):
        found = re.search(r"<answer>(.*?)</answer>", completion[-1]["content"], re.DOTALL)
        return found[1].strip() if found else None


class SingleTurn:
    max_turns = 1

    def __init__(self, dataset, eval_dataset, rubric, system_prompt="Use <think> and <answer>."):
        self.system_prompt, self.rubric, self.parser = system_prompt, rubric, Parser()
        self.dataset, self.eval_dataset = self._asked(dataset), self._asked(eval_dataset)

    def _asked(self, rows):
        if rows is None:
            return None
        system = {"role": "system", "content": self.system_prompt}
        return Rows({"prompt": [system, {"role": "user", "content": row["question"]}], **row} for row in rows)

    def get_dataset(self, n):
        return self.dataset[:n]

    def get_eval_dataset(self, n):
        # As the package does it: without one the training questions.
        return (self.eval_dataset or self.dataset)[:n]


async def correct_answer(parser, completion, answer, **kwargs):
    return float(parser.parse_answer(completion) == answer)


def brief(completion, answer):
    """Judges the completion itself, by item and by attribute."""
    return 1.0 if answer in completion[0].content and len(completion[0]["content"]) < 40 else 0.25


def matches_info(completion, info):
    return completion[0]["content"] == f"<answer>{info['word']}</answer>"


def looks_at_the_state(completion, state):
    return float(state["question"].split()[1] in completion[0].content)


def knows_its_rubric(completion, answer_key):
    return float(str(answer_key) in completion[0]["content"])


def needs_more(completion, runtime):
    return 1.0


def fails(completion):
    raise KeyError("no such thing")


def gives_words(completion):
    return "good"


def rows(first, last):
    return [{"question": f"What is {k} + 1?", "answer": str(k + 1)} for k in range(first, last)]


def load_environment(evaluated=True, size=60):
    inner = SimpleNamespace(
        funcs=[brief, matches_info, needs_more, knows_its_rubric], class_objects={"parser": None, "answer_key": 8}
    )
    outer = SimpleNamespace(
        funcs=[correct_answer, fails, gives_words, looks_at_the_state], rubrics=[inner], class_objects={"answer_key": 7}
    )
    return SingleTurn(rows(0, size), rows(size, size + 20) if evaluated else None, outer)


def same_answers():
    made = [{"question": f"Is {k} a number?", "answer": "yes"} for k in range(40)]
    return SingleTurn(made, None, SimpleNamespace(funcs=[correct_answer, looks_at_the_state]))


def only_evaluated():
    return SingleTurn(None, rows(0, 60), SimpleNamespace(funcs=[correct_answer]))


def overlapping():
    return SingleTurn(rows(0, 60), rows(50, 70), SimpleNamespace(funcs=[correct_answer]))


def by_info():
    made = [{"question": f"Say w{k}.", "answer": "", "info": {"word": f"w{k}."}} for k in range(40)]
    return SingleTurn(made, None, SimpleNamespace(funcs=[matches_info]))


def several_turns():
    made = load_environment()
    made.max_turns = 4
    return made


def unreadable():
    made = load_environment()
    made.parser = SimpleNamespace(parse_answer=lambda completion: None)
    return made


def without_parser():
    made = load_environment()
    made.parser = SimpleNamespace(parse_answer=lambda completion: completion[0]["content"])
    return made


def something_else():
    return {"dataset": []}
