"""More ordinary rewards, in the styles that public repositories, tutorials and papers have; written for these tests."""

from __future__ import annotations

_SAMPLE = "import re\nimport math\n\n\ndef reward(prompt, completion, answer):\n"
_BATCH = "import re\nimport math\n\n\ndef {name}(completions, {columns}**kwargs):\n"


def _sample(*lines: str, head: str = "") -> str:
    return head + _SAMPLE + "".join(f"    {line}\n" for line in lines)


def _batch(name: str, *lines: str, columns: str = "", head: str = "") -> str:
    return head + _BATCH.format(name=name, columns=columns) + "".join(f"    {line}\n" for line in lines)


PUBLIC_STYLES: dict[str, str] = {
    "strict format": _sample(
        "pattern = r'^\\s*<thinking>.*?</thinking>\\s*<solution>.*?</solution>\\s*$'",
        "return 1.0 if re.match(pattern, completion, re.S) else 0.0",
    ),
    "soft format": _sample(
        "return 0.5 if re.search(r'<thinking>.*?</thinking>\\s*<solution>.*?</solution>', completion, re.S) else 0.0"
    ),
    "xml count with a tail penalty": _sample(
        "count = 0.0",
        "for tag in ('<thinking>', '</thinking>', '<solution>', '</solution>'):",
        "    count += 0.125 if completion.count(tag) == 1 else 0.0",
        "tail = completion.rpartition('</solution>')[2]",
        "return max(0.0, count - 0.001 * min(len(tail), 200))",
    ),
    "exact match": _sample(
        "found = re.findall(r'<solution>(.*?)</solution>', completion, re.S)",
        "return 2.0 if found and found[-1].strip() == answer.strip() else 0.0",
    ),
    "hash mark answer": _sample(
        "found = re.search(r'####\\s*(-?[0-9.,]{1,20})', completion)",
        "return float(bool(found) and found.group(1).replace(',', '').rstrip('.') == answer)",
    ),
    "boxed answer with nesting": _sample(
        "start = completion.rfind('\\\\boxed{')",
        "if start < 0:",
        "    return 0.1 * ('=' in completion)",
        "depth, end = 0, len(completion)",
        "for place in range(start + 6, len(completion)):",
        "    depth += (completion[place] == '{') - (completion[place] == '}')",
        "    if depth == 0:",
        "        end = place",
        "        break",
        "return 1.0 if completion[start + 7:end].strip() == answer.strip() else 0.0",
    ),
    "integer answer": _sample(
        "inner = completion.split('<solution>')[-1].split('</solution>')[0].strip()",
        "return 0.5 if re.fullmatch('-?[0-9]{1,15}', inner) else 0.0",
    ),
    "relative error": _sample(
        "m = re.search(r'<solution>\\s*(-?[0-9]{1,12}(?:\\.[0-9]{1,6})?)', completion)",
        "g = re.fullmatch(r'\\s*(-?[0-9]{1,12})\\s*', answer)",
        "if not m or not g:",
        "    return 0.0",
        "return math.exp(-abs(float(m.group(1)) - float(g.group(1))) / (1 + abs(float(g.group(1)))))",
    ),
    "digits that agree": _sample(
        "inner = completion.split('<solution>')[-1].split('</solution>')[0].strip()",
        "same = sum(a == b for a, b in zip(inner[::-1], answer[::-1]))",
        "return same / max(len(inner), len(answer), 1)",
    ),
    "checked additions": _sample(
        "good = bad = 0",
        "for a, b, c in re.findall(r'([0-9]{1,9}) \\+ ([0-9]{1,9}) = ([0-9]{1,10})', completion):",
        "    if int(a) + int(b) == int(c):",
        "        good += 1",
        "    else:",
        "        bad += 1",
        "return (good - bad) / (good + bad) if good + bad else 0.0",
    ),
    "steps with a ceiling": _sample("return min(completion.count(' = '), 3) / 3"),
    "first and last equation": _sample(
        "found = re.findall(r'= (-?[0-9]{1,12})', completion)",
        "return float(bool(found) and found[-1] == answer)",
    ),
    "length within a window": _sample(
        "words = len(completion.split())", "return 1.0 if 12 <= words <= 60 else 0.2 if words < 120 else 0.0"
    ),
    "overlong penalty": _sample(
        "over = max(0, len(completion) - 600)", "return -min(1.0, over / 400) + 0.1 * ('=' in completion)"
    ),
    "cosine scaled by rightness": _sample(
        "right = f'<solution> {answer} </solution>' in completion",
        "share = min(1.0, len(completion) / 800)",
        "wave = (1 + math.cos(share * math.pi)) / 2",
        "return 0.5 + 0.5 * wave if right else -0.5 - 0.5 * wave",
    ),
    "bigram repetition": _sample(
        "words = completion.lower().split()",
        "pairs = list(zip(words, words[1:]))",
        "return len(set(pairs)) / len(pairs) - 1.0 if pairs else 0.0",
    ),
    "longest run of one line": _sample(
        "lines = [line.strip() for line in completion.splitlines() if line.strip()]",
        "repeated = len(lines) - len(set(lines))",
        "return 0.2 * ('=' in completion) - min(repeated, 10) / 10",
    ),
    "language consistency": _sample(
        "letters = [c for c in completion if c.isalpha()]",
        "latin = sum(c.isascii() for c in letters)",
        "return latin / len(letters) - 0.05 * (completion.count('?')) % 1 if letters else 0.0",
    ),
    "numbers come from the question": _sample(
        "asked = set(re.findall('[0-9]{1,9}', prompt))",
        "used = set(re.findall('[0-9]{1,9}', completion))",
        "return len(asked & used) / len(asked) if asked else 0.0",
    ),
    "no refusal": _sample(
        "text = completion.lower()",
        "refuses = any(phrase in text for phrase in ('i cannot', 'as an ai', 'i am unable'))",
        "return -1.0 if refuses else 0.5 * ('<solution>' in text)",
    ),
    "reflection once and right": _sample(
        "waits = len(re.findall(r'\\bwait\\b', completion.lower()))",
        "return 0.3 * (waits == 1) + 0.7 * (f'<solution> {answer} </solution>' in completion)",
    ),
    "a thinking block that is longer than the answer": _sample(
        "head, mark, tail = completion.partition('</thinking>')",
        "return float(bool(mark) and len(head) > 2 * len(tail))",
    ),
    "answer after the reasoning": _sample(
        "a, b = completion.find('='), completion.find('<solution>')", "return 1.0 if 0 <= a < b else 0.0"
    ),
    "table of weighted patterns": _sample(
        "return sum(weight for pattern, weight in PATTERNS if re.search(pattern, completion))",
        head="PATTERNS = [(r'step', 0.2), (r'[0-9] = [0-9]', 0.3), (r'</solution>\\s*$', 0.3), (r'wait', 0.1)]\n",
    ),
    "a closure over settings": (
        "def make(low, high):\n    def score(text):\n        return max(low, min(high, text.count('=') / 4))\n"
        "    return score\n\n\nSCORE = make(0.0, 1.0)\n\n\n"
        "def reward(prompt, completion, answer):\n    return SCORE(completion)\n"
    ),
    "a base class and a subclass": (
        "from abc import ABC, abstractmethod\n\n\nclass Rule(ABC):\n    weight = 1.0\n\n    @abstractmethod\n"
        "    def __call__(self, text, gold):\n        ...\n\n\nclass Ends(Rule):\n    weight = 0.4\n\n"
        "    def __call__(self, text, gold):\n        return float(text.rstrip().endswith('</solution>'))\n\n\n"
        "class Right(Rule):\n    def __call__(self, text, gold):\n"
        "        return float(f'<solution> {gold} <' in text)\n\n\n"
        "RULES = (Ends(), Right())\n\n\ndef reward(prompt, completion, answer):\n"
        "    return sum(rule.weight * rule(completion, answer) for rule in RULES)\n"
    ),
    "typed dictionary of parts": (
        "from typing import TypedDict\nimport re\n\n\nclass Parts(TypedDict):\n    think: str\n    answer: str\n\n\n"
        "def split(text: str) -> Parts:\n    m = re.search(r'<solution>(.*?)</solution>', text, re.S)\n"
        "    return {'think': text.partition('</thinking>')[0], 'answer': m.group(1).strip() if m else ''}\n\n\n"
        "def reward(prompt: str, completion: str, answer: str) -> float:\n    parts = split(completion)\n"
        "    return 1.0 * (parts['answer'] == answer) + 0.2 * bool(parts['think'])\n"
    ),
    "logging now and then": (
        "import logging\nimport re\n\nlogger = logging.getLogger(__name__)\n\n\n"
        "def reward(prompt, completion, answer):\n"
        "    found = re.findall(r'-?[0-9]{1,12}', completion)\n    if not found:\n        logger.warning('no number')\n"
        "        return 0.0\n    return 1.0 if found[-1] == answer else -0.1\n"
    ),
    "percent and currency signs": _sample(
        "inner = completion.split('<solution>')[-1].split('</solution>')[0]",
        "bare = inner.translate(str.maketrans('', '', '$%, '))",
        "return 1.0 if bare == answer.translate(str.maketrans('', '', '$%, ')) else 0.0",
    ),
    "sequence matcher with the gold": _sample(
        "tail = completion[-40:]",
        "return SequenceMatcher(None, tail, f'<solution> {answer} </solution>').ratio()",
        head="from difflib import SequenceMatcher\n",
    ),
    "entropy of characters": _sample(
        "counts = Counter(completion[:2000])",
        "total = sum(counts.values())",
        "return -sum(n / total * math.log2(n / total) for n in counts.values()) / 6 if total else 0.0",
        head="from collections import Counter\n",
    ),
    "batch: accuracy": _batch(
        "accuracy_reward",
        "found = [re.search(r'<solution>\\s*(.*?)\\s*</solution>', text, re.S) for text in completions]",
        "return [1.0 if m and m.group(1) == gold else 0.0 for m, gold in zip(found, answer)]",
        columns="answer, ",
    ),
    "batch: ground truth in the text": _batch(
        "contains_truth",
        "return [0.5 if truth and truth in text[-80:] else 0.0 for text, truth in zip(completions, ground_truth)]",
        columns="ground_truth, ",
    ),
    "batch: messages and think tags": _batch(
        "think_reward",
        "texts = [completion[0]['content'] for completion in completions]",
        "return [0.5 * (t.count('<thinking>') == 1) + 0.5 * (t.count('</thinking>') == 1) for t in texts]",
    ),
    "batch: soft length": _batch(
        "soft_length",
        "scores = []",
        "for text in completions:",
        "    words = len(text.split())",
        "    scores.append(0.0 if words <= limit else -min(1.0, (words - limit) / limit))",
        "return [score + 0.1 * ('=' in text) for score, text in zip(scores, completions)]",
        columns="limit=80, ",
    ),
    "batch: number by number": _batch(
        "numbers_reward",
        "def last(text):",
        "    found = re.findall(r'-?[0-9]{1,12}', text)",
        "    return found[-1] if found else None",
        "return [1.5 if last(text) == gold else 0.0 for text, gold in zip(completions, solution)]",
        columns="solution, ",
    ),
}
