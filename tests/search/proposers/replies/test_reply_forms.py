"""Forms of replies, one per line: which candidates are taken, and how many things are named as unusable."""

from __future__ import annotations

import json
import random

import pytest

from search.proposers.replies.reply import parse_reply
from tests.search.proposers.examples import as_json, fenced


def source(number: int) -> str:
    return (
        f'"""Counts equations, variant {number}."""\n\nimport re\n\n\n'
        "def reward(prompt: str, completion: str, answer: str) -> float:\n"
        f'    return min(1.0, len(re.findall(r"\\d+ [+*-] \\d+ = \\d+", completion)) / {number}.0)\n'
    )


def draft(number: int) -> str:
    return f"def reward(prompt, completion, answer):\n    return float(len(completion)) / {number}.5\n"


def block(code: str, language: str = "python", mark: str = "```") -> str:
    return f"{mark}{language}\n{code}{mark}\n"


def item(number: int) -> dict[str, str]:
    return {"name": f"n{number}", "family": "process", "description": "d", "code": source(number)}


ONE, TWO = source(1), source(2)
MUSING = f"Let me try.\n\n{block(draft(9))}\nThat pays for length; rather count equations.\n"
WITH_TAGS = (
    '"""Rewards the form\n\n<think>\nreasoning\n</think>\n<answer>12</answer>\n"""\n\nimport re\n\n\n'
    "def reward(prompt, completion, answer):\n"
    '    if "<think>" not in completion:\n        return 0.0\n'
    "    found = re.search(r'<think>(.*?)</think>', completion, re.DOTALL)\n"
    "    return float(found is not None and completion.count('</think>') == 1)\n"
)
WITH_FENCES = (
    '"""Rewards code.\n\n```python\nreward("", "x", "")\n```\n\nand\n\n```\nx\n```\n"""\n\n\n'
    "def reward(prompt, completion, answer):\n    return float('```' in completion)\n"
)
WITH_DICTS = 'KEYS = {"name": 1, "code": 2}\nMORE = {"name": KEYS}\nprint({"name": 1})\n\n\n' + draft(3)
JSON_ONE, JSON_TWO = json.dumps({"candidates": [item(1)]}), json.dumps({"candidates": [item(2)]})
BOTH = {"candidates": [item(1), item(2)]}
CALL = {"name": "propose", "arguments": {"candidates": [item(1)]}}
STRING_CALL = {"name": "propose", "arguments": JSON_ONE}
CHANNEL = "<|channel|>analysis<|message|>"
FINAL = "<|start|>assistant<|channel|>final<|message|>"

THOUGHTS = {
    "closed": f"<think>\n{MUSING}</think>\n\n{block(ONE)}",
    "closed on the line of the answer": f"<think>{MUSING}</think>{JSON_ONE}",
    "closed without opening": f"{MUSING}</think>\n\n{block(ONE)}",
    "closed without opening, after a sentence": f"{MUSING}So be it.</think>Here:\n{block(ONE)}",
    "prose before": f"Sure.\n<think>\n{MUSING}</think>\n\n{block(ONE)}",
    "prose before, in upper case": f"Sure, let me think. <THINK>\n{MUSING}</THINK>\n{block(ONE)}",
    "two": f"<think>a</think>\n<think>\n{MUSING}</think>\n{block(ONE)}",
    "two, the second without opening": f"<think>\n{MUSING}</think>\n{MUSING}</think>\n{block(ONE)}",
    "after the answer": f"{block(ONE)}\n<think>\n{MUSING}</think>\n",
    "a tag in quotes within": f'<think>\nThe "</think>" tag, and `</think>`.\n{MUSING}</think>\n{block(ONE)}',
    "a draft with tags within": f"<think>\n{block(WITH_TAGS)}No.\n</think>\n{block(ONE)}",
    "a draft left open": f"<think>\n```python\n{draft(9)}\nHm.\n</think>\n\n{block(ONE)}",
    "a draft left open, closed without opening": f"```python\n{draft(9)}\nHm.\n</think>\n\n{block(ONE)}",
    "a draft in JSON": f"<think>\n{JSON_TWO}\nNo.\n</think>\n{JSON_ONE}",
    "broken JSON": f'<think>\n{{"candidates": [{{"name": "x", "code": oh no\n</think>\n{JSON_ONE}',
    "bare code": f"<think>\n{draft(9)}\n</think>\n{ONE}",
    "an example completion": f"<think>\nThey look so:\n<thinking>\n2\n</thinking>\n2\n{MUSING}</think>\n{block(ONE)}",
    "<thought>": f"<thought>\n{MUSING}</thought>\n{block(ONE)}",
    "<thinking>": f"<thinking>\n{MUSING}</thinking>\n<answer>\n{block(ONE)}</answer>",
    "<thinking> closed as </think>": f"<thinking>\n{MUSING}</think>\n{block(ONE)}",
    "<reasoning>": f"<reasoning>\n{MUSING}</reasoning>\n{block(ONE)}",
    "<analysis>": f"<analysis>\n{MUSING}</analysis>\n{block(ONE)}",
    "with an attribute": f'<thinking budget="10">\n{MUSING}</thinking>\n{block(ONE)}',
    "Seed": f"<seed:think>{MUSING}</seed:think>{block(ONE)}",
    "MiniMax": f"<mm:think>{MUSING}</mm:think>\n{block(ONE)}",
    "LongCat": f"<longcat_think>\n{MUSING}</longcat_think>\n{block(ONE)}",
    "Magistral": f"[THINK]{MUSING}[/THINK]{block(ONE)}",
    "Magistral, in JSON": f"[THINK]{MUSING}[/THINK]{JSON_ONE}",
    "Kimi": f"◁think▷{MUSING}◁/think▷{block(ONE)}",
    "Kimi K3": f"<|open|>think<|sep|>{MUSING}<|close|>think<|sep|>{block(ONE)}",
    "Cohere": f"<|START_THINKING|>{MUSING}<|END_THINKING|><|START_RESPONSE|>\n{block(ONE)}<|END_RESPONSE|>",
    "OpenThoughts": f"<|begin_of_thought|>\n{MUSING}<|end_of_thought|>\n{block(ONE)}",
    "Apertus": f"<|inner_prefix|>{MUSING}<|inner_suffix|>{block(ONE)}",
    "Gemma": f"<|channel>thought\n{MUSING}<channel|>{block(ONE)}",
    "MedGemma": f"<unused94>thought\n{MUSING}<unused95>{block(ONE)}",
    "Pangu": f"[unused16]{MUSING}[unused17]{block(ONE)}",
    "Granite": f"Here is my thought process:\n{MUSING}Here is my response:\n{block(ONE)}",
    "harmony": f"{CHANNEL}{MUSING}<|end|>{FINAL}{block(ONE)}<|return|>",
    "harmony without the end": f"{CHANNEL}{MUSING}{FINAL}{JSON_ONE}",
    "harmony without the beginning": f"{MUSING}<|channel|>final<|message|>{block(ONE)}",
    "harmony, a tool call": f"{CHANNEL}{MUSING}<|end|><|start|>assistant<|channel|>commentary to=functions.propose "
    f"<|constrain|>json<|message|>{JSON_ONE}<|call|>",
    "harmony without its tokens": f"analysisWe need one.\n{MUSING}assistantfinal{block(ONE)}",
    "a fold of a chat interface": f'<details type="reasoning" done="true">\n{MUSING}</details>\n{block(ONE)}',
    "Ollama's command line": f"Thinking...\n{MUSING}...done thinking.\n\n{block(ONE)}",
    "DeepSeek's token": f"<｜begin▁of▁thinking｜>{MUSING}<｜end▁of▁thinking｜>{block(ONE)}",
    "a chain of thought": f"<chain_of_thought>\n{MUSING}</chain_of_thought>\n{block(ONE)}",
    "entities": f"&lt;think&gt;\n{MUSING}&lt;/think&gt;\n{block(ONE)}",
    "thoughts in thoughts": f"<think>\n<think>\n{MUSING}</think>\n{MUSING}</think>\n{block(ONE)}",
    "a reflection in thoughts": f"<thinking>\n<reflection>\n{MUSING}</reflection>\n{MUSING}</thinking>\n{block(ONE)}",
    "a block of their own": block("I might reward length.\n", "thinking") + block(ONE),
    "a key of the JSON": json.dumps({"thoughts": [draft(9), "no"], "reasoning": MUSING, "candidates": [item(1)]}),
    "objects in the JSON": json.dumps({"thinking": [{"step": 1, "code": draft(9)}], "candidates": [item(1)]}),
}


@pytest.mark.parametrize("form", THOUGHTS)
def test_thoughts_are_never_candidates(form: str) -> None:
    items, unusable = parse_reply(THOUGHTS[form], "stop")
    assert [found.code.strip() for found in items] == [ONE.strip()]
    assert unusable == []


@pytest.mark.parametrize("finish_reason", ["length", "stop", ""])
@pytest.mark.parametrize("opens", ["<think>", "Sure.\n<think>", "<thought>", "[THINK]", "◁think▷", CHANNEL])
def test_a_reply_that_ends_in_its_thoughts_has_no_candidate(opens: str, finish_reason: str) -> None:
    for thoughts in (MUSING, MUSING[:60], JSON_ONE, f"The tag `</think>` counts.\n{MUSING}"):
        items, unusable = parse_reply(f"{opens}\n{thoughts}", finish_reason)
        assert items == []
        assert [found.reason for found in unusable] == ["truncated"]


@pytest.mark.parametrize("finish_reason", ["length", "stop"])
def test_thoughts_alone_are_no_candidate(finish_reason: str) -> None:
    for reply in (f"<think>\n{MUSING}</think>", f"{MUSING}</think>\n"):
        items, unusable = parse_reply(reply, finish_reason)
        assert items == []
        assert len(unusable) == 1


USAGE = block('print(reward("1 + 1", "<think>2</think>", "2"))\n')
TAKEN = {
    "code that looks for tags": (block(WITH_TAGS), [WITH_TAGS], 0),
    "the same in JSON": (as_json(("t", "format", WITH_TAGS)), [WITH_TAGS], 0),
    "the same without a fence": (WITH_TAGS, [WITH_TAGS], 0),
    "the same between tags": (f"<name>t</name>\n<code>\n{WITH_TAGS}</code>", [WITH_TAGS], 0),
    "the same after thoughts": (f"<think>\nhm\n</think>\n{block(WITH_TAGS)}{block(ONE)}", [WITH_TAGS, ONE], 0),
    "a tag in a header": (f"name: a\ndescription: counts </think>\n{block(ONE)}{block(TWO)}", [ONE, TWO], 0),
    "a tag in a heading": (f"{block(ONE)}\n## 2. Exactly one `</think>`\n{block(TWO)}", [ONE, TWO], 0),
    "a tag in a sentence": (f"{block(ONE)}\nIt looks for </think> tags and <think> tags.\n{block(TWO)}", [ONE, TWO], 0),
    "a tag before a full stop": (f"{block(ONE)}\nIt pays for one </think>.\n{block(TWO)}", [ONE, TWO], 0),
    "fences in a docstring": (block(WITH_FENCES) + block(ONE), [WITH_FENCES, ONE], 0),
    "fences in a docstring, in JSON": (as_json(("f", "format", WITH_FENCES)), [WITH_FENCES], 0),
    "an example of usage": (block(ONE) + "Use it so:\n" + USAGE, [ONE], 0),
    "an example of a completion": (block(ONE) + block("1+1=2\n</think>\n<answer>2</answer>\n", "text"), [ONE], 0),
    "an example as JSON": (
        block(ONE) + block('{"question": "2", "reward": 1}', "json") + block(TWO),
        [ONE, TWO],
        0,
    ),
    "figures as JSON": (block("[1, 2, 3]\n", "json") + block(ONE), [ONE], 0),
    "two fences of JSON": (block(JSON_ONE + "\n", "json") + "\n" + block(JSON_TWO + "\n", "json"), [ONE, TWO], 0),
    "two values of JSON": (f"{JSON_ONE}\n\nand\n\n{JSON_TWO}", [ONE, TWO], 0),
    "JSON lines": (f"{json.dumps(item(1))}\n{json.dumps(item(2))}\n", [ONE, TWO], 0),
    "JSON lines in a fence": (block(f"{json.dumps(item(1))}\n{json.dumps(item(2))}\n", "jsonl"), [ONE, TWO], 0),
    "JSON lines, one broken": (block(f'{json.dumps(item(1))}\n{{"name": "x", "code": }}\n', "jsonl"), [ONE], 1),
    "JSON, then Python": (f"{JSON_ONE}\n\nAnother one:\n{block(TWO)}", [ONE, TWO], 0),
    "Python, then JSON": (f"{block(TWO)}\nAnother one:\n{JSON_ONE}", [TWO, ONE], 0),
    "broken JSON, then Python": (f'{{"candidates": [{{"name": "x", "code": 1 2}}]}}\n\n{block(ONE)}', [ONE], 1),
    "facts as JSON": (block('{"name": "counter", "family": "process"}\n', "json") + block(ONE), [ONE], 0),
    "JSON without a language": (block(JSON_ONE + "\n", ""), [ONE], 0),
    "JSON called text": (block(JSON_ONE + "\n", "text"), [ONE], 0),
    "JSON in a string": (json.dumps(JSON_ONE), [ONE], 0),
    "two lists": (json.dumps({"reflection": [item(1)], "other": [item(2)]}), [ONE, TWO], 0),
    "a plan beside": (json.dumps({"plan": [{"name": "count"}], "candidates": [item(1)]}), [ONE], 0),
    "a name as key that speaks of thoughts": (json.dumps({"thinking_length": {"code": ONE}}), [ONE], 0),
    "JSON on the line of the fence": (f"```json {JSON_ONE}\n```\n{block(TWO)}", [ONE, TWO], 0),
    "JSON in one line of backticks": (f"```{JSON_ONE}```\n{block(TWO)}", [ONE, TWO], 0),
    "drafts beside": (json.dumps({"drafts": [{"code": draft(9)}], "candidates": [item(1)]}), [ONE], 0),
    "a completion as Python": (block(ONE) + block('completion = "<think>2</think>"\n'), [ONE], 0),
    "code without a fence, with a dict": (f"Here.\n\n{WITH_DICTS}", [WITH_DICTS], 0),
    "a broken candidate that speaks of tags": (block(ONE) + block(WITH_TAGS.replace("if ", "if if ")), [ONE], 1),
    "the same with one tag": (
        block(ONE) + block(WITH_TAGS.replace("if ", "if if ").replace("\n<think>", "")),
        [ONE],
        1,
    ),
    "a comment on tags": (block(f"# the last tag: </think>\n{ONE}"), [f"# the last tag: </think>\n{ONE}"], 0),
    "JSON that ends after the code": (JSON_ONE[:-3], [ONE], 0),
    "a message in JSON": (json.dumps({"response": f"Here it is:\n\n{block(ONE)}"}), [ONE], 0),
    "a whole response of a provider": (json.dumps({"choices": [{"message": {"content": block(ONE)}}]}), [ONE], 0),
    "names as keys": (json.dumps({"first": ONE, "second": TWO}), [ONE, TWO], 0),
    "objects under names": (json.dumps({"first": {"code": ONE}, "second": {"code": TWO}}), [ONE, TWO], 0),
    "a key twice": (
        f'{{"candidate": {json.dumps(item(1))}, "candidate": {json.dumps(item(2))}}}',
        [ONE, TWO],
        0,
    ),
    "code as lines": (json.dumps({"name": "n", "code": ONE.split("\n")}), [ONE], 0),
    "another key": (json.dumps([{"name": "n", "python_code": ONE}]), [ONE], 0),
    "Python literals": (block(f"candidates = [{item(1)!r}]\n"), [ONE], 0),
    "single quotes": (f"{BOTH!r}", [ONE, TWO], 0),
    "triple quotes": ('{"name": "n", "family": "process", "code": r\'\'\'' + ONE + "'''}", [ONE], 0),
    "comments in JSON": (JSON_ONE.replace('"family"', '// what it is\n"family"'), [ONE], 0),
    "a list of sources": (json.dumps([ONE, TWO]), [ONE, TWO], 0),
    "an item without code": (json.dumps({"candidates": [item(1), {"name": "x"}, 7, "no idea"]}), [ONE], 3),
    "a tool call": (f"<tool_call>{json.dumps(CALL)}</tool_call>", [ONE], 0),
    "a tool call, one candidate": (json.dumps({"name": "propose", "arguments": item(1)}), [ONE], 0),
    "a tool call with a string": (f"<tool_call>\n{json.dumps(STRING_CALL)}\n</tool_call>", [ONE], 0),
    "two tool calls": (f"<tool_call>{json.dumps(CALL)}</tool_call>\n" * 2, [ONE, ONE], 0),
    "tool calls of OpenAI": (json.dumps({"tool_calls": [{"id": "1", "function": STRING_CALL}]}), [ONE], 0),
    "tool use of Anthropic": (json.dumps({"type": "tool_use", "name": "propose", "input": BOTH}), [ONE, TWO], 0),
    "a function tag": (f"<function=propose>{JSON_ONE}</function>", [ONE], 0),
    "parameters": (f"<function=propose>\n<parameter=name>n</parameter>\n<parameter=code>\n{ONE}</parameter>", [ONE], 0),
    "a parameter of JSON": (
        f"<function=f>\n<parameter=candidates>\n{json.dumps([item(1)])}\n</parameter>",
        [ONE],
        0,
    ),
    "invoked": (f'<invoke name="propose"><parameter name="code">{ONE}</parameter></invoke>', [ONE], 0),
    "keys and values": (
        f"<tool_call>f\n<arg_key>code</arg_key>\n<arg_value>{ONE}</arg_value></tool_call>",
        [ONE],
        0,
    ),
    "[TOOL_CALLS]": (f"[TOOL_CALLS][{json.dumps(CALL)}]", [ONE], 0),
    "Kimi's tool call": (
        f"<|tool_call_begin|>f:0<|tool_call_argument_begin|>{JSON_ONE}<|tool_call_end|>",
        [ONE],
        0,
    ),
    "a call in Python": (block(f"propose(name='n', code={ONE!r})\n", "tool_code"), [ONE], 0),
    "an open fence": (f"```python\n{ONE}", [ONE], 0),
    "an open fence after a closed one": (f"{block(TWO)}\n```python\n{ONE}\nThis counts equations.", [TWO, ONE], 0),
    "a fence that another one ends": (f"```python\n{ONE}\n\nname: two\n{block(TWO)}", [ONE, TWO], 0),
    "a fence behind the last line": (f"```python\n{ONE.rstrip()}```\n\n{block(TWO)}", [ONE, TWO], 0),
    "a stray fence": (f"```\n{block(ONE)}```\n{block(TWO)}", [ONE, TWO], 0),
    "py3": (block(ONE, "py3"), [ONE], 0),
    "Python 3.11": (block(ONE, "Python3.11"), [ONE], 0),
    "plaintext": (block(ONE, "plaintext"), [ONE], 0),
    "no language": (block(ONE, ""), [ONE], 0),
    "attributes": (block(ONE, 'python title="reward.py" linenums=1'), [ONE], 0),
    "attributes in braces": (block(ONE, "{.python .numberLines}"), [ONE], 0),
    "a file name": (block(ONE, "python:reward.py"), [ONE], 0),
    "tildes": (block(ONE, "py", "~~~"), [ONE], 0),
    "four backticks": (block(WITH_FENCES, "python", "````"), [WITH_FENCES], 0),
    "a fence in a fence": (f"````markdown\nname: n\n{block(ONE)}````\n", [ONE], 0),
    "a fence in a fence of as many": (f"```markdown\n{block(ONE)}```\n{block(TWO)}", [ONE, TWO], 0),
    "indented": ("\n".join("    " + line for line in block(ONE).split("\n")), [ONE], 0),
    "in a list": ("1. name: n\n\n" + "\n".join("   " + line for line in block(ONE).split("\n")), [ONE], 0),
    "quoted": ("\n".join("> " + line for line in block(ONE).rstrip().split("\n")), [ONE], 0),
    "the language on a line of its own": (block(f"python\n{ONE}", ""), [ONE], 0),
    "code on the line of the fence": (f"```python import math\n{ONE}```", [f"import math\n{ONE}"], 0),
    "a sentence inside": (block(f"Here is the code:\n\n{ONE}"), [ONE], 0),
    "sentences after it inside": (block(f"{ONE}\nThis counts equations, up to a cap.\n"), [ONE], 0),
    "a header inside": (block(f"name: n\nfamily: process\n\n{ONE}"), [ONE], 0),
    "a token at the end": (f"{block(ONE).rstrip()}<|im_end|>", [ONE], 0),
    "a tag after the fence": (f"<answer>\n{block(ONE).rstrip()}</answer>", [ONE], 0),
    "CRLF": (block(ONE).replace("\n", "\r\n"), [ONE], 0),
    "a byte order mark": ("\ufeff" + block(ONE), [ONE], 0),
    "a byte order mark inside": (block("\ufeff" + ONE), [ONE], 0),
    "a byte order mark in JSON": ("\ufeff" + json.dumps({"name": "n", "code": "\ufeff" + ONE}), [ONE], 0),
    "blanks that do not break": (block(ONE.replace("    return", "\u00a0\u00a0\u00a0\u00a0return")), [ONE], 0),
    "entities": (block(ONE.replace('"', "&quot;").replace("->", "-&gt;")), [ONE], 0),
    "typographic quotes": (block(ONE.replace('r"', "r“").replace('+"', "+”").replace('", c', "”, c")), [ONE], 0),
    "line numbers": (block("".join(f"{n:3} {line}\n" for n, line in enumerate(ONE.rstrip().split("\n"), 1))), [ONE], 0),
    "two without fences": (f"name: one\n\n{ONE}\n\nname: two\n\n{TWO}", [ONE, TWO], 0),
    "one without a fence": (f"{block(ONE)}\nAnd another:\n\n{TWO}", [ONE, TWO], 0),
    "a shell between": (f"{block(ONE)}{block('pip install x' + chr(10), 'bash')}{block(TWO)}", [ONE, TWO], 0),
    "one broken of two": (block("def reward(prompt, completion, answer:\n    return 1.0\n") + block(ONE), [ONE], 1),
    "another function": (block("def score(x):\n    return 1.0\n") + block(ONE), [ONE], 1),
    "the signature alone": (
        block("def reward(prompt, completion, answer):\n    ...\n") + block(ONE),
        [ONE],
        1,
    ),
    "two in one block": (block(f"{draft(3)}\n\n{ONE}"), [f"{draft(3)}\n\n{ONE}"], 1),
}


@pytest.mark.parametrize("form", TAKEN)
def test_everything_offered_is_taken_or_named(form: str) -> None:
    reply, wanted, refused = TAKEN[form]
    items, unusable = parse_reply(reply, "stop")
    assert [found.code.strip() for found in items] == [code.strip() for code in wanted]
    assert len(unusable) == refused, unusable


def test_facts_before_the_code_describe_it() -> None:
    facts = block('{"name": "counter", "family": "process", "description": "counts"}\n', "json")
    found = parse_reply(facts + block(ONE))[0][0]
    assert (found.name, found.family, found.description) == ("counter", "process", "counts")
    assert [found.family for found in parse_reply(json.dumps({"reflection": [{"code": ONE}]}))[0]] == ["reflection"]
    assert [found.name for found in parse_reply(json.dumps({"first": ONE, "second": TWO}))[0]] == ["first", "second"]
    unclosed = f"```python\n{ONE}\n\nname: two\n{block(TWO)}"
    assert [found.name for found in parse_reply(unclosed)[0]] == ["candidate", "two"]
    assert [found.name for found in parse_reply(block(f"name: inside\n{ONE}"))[0]] == ["inside"]


def test_code_at_the_end_is_cut_off_where_the_provider_says_so() -> None:
    for finish_reason, wanted in (("length", 0), ("content_filter", 0), ("stop", 1)):
        for reply in (f"name: n\n```python\n{ONE}", ONE, f"Here:\n\n{ONE}"):
            items, unusable = parse_reply(reply, finish_reason)
            assert len(items) == wanted
            assert bool(unusable) is not bool(wanted)


def offered(number: int, form: int) -> str:
    """One candidate in one of many forms."""
    code, facts = source(number), json.dumps(item(number))
    forms = [
        f"name: n{number}\n{block(code)}",
        f"## Candidate {number}\n\n{block(code, 'py3', '~~~')}",
        f"Number {number} counts equations.\n\n{block(code, '')}",
        f"{facts}\n",
        f"Here is one more:\n{block(facts + chr(10), 'json')}",
        f"<tool_call>{json.dumps({'name': 'propose', 'arguments': facts})}</tool_call>\n",
        f"<think>\n{MUSING}</think>\n{block(code)}",
        f"[THINK]{MUSING}[/THINK]{facts}\n",
        f"{block(code)}It pays for `<think>` and </think> tags too.\n",
        f"{block(code)}\nUse it so:\n{USAGE}",
        f"<name>n{number}</name>\n<code>\n{code}</code>\n",
        f"{json.dumps({'candidates': [item(number)]}, indent=2)}\n",
    ]
    return forms[form % len(forms)]


def test_forms_may_be_mixed() -> None:
    draws = random.Random(5)
    for _ in range(200):
        numbers = draws.sample(range(1, 8), draws.randint(2, 5))
        reply = "\n".join(offered(number, draws.randrange(12)) for number in numbers)
        items, unusable = parse_reply(reply, "stop")
        assert [found.code.strip() for found in items] == [source(number).strip() for number in numbers], reply
        assert unusable == []


PIECES = ["```", "```python\n", "\n", "<think>", "</think>\n", *'{}]",\\', "def reward(", "\ufeff", "> "]


def mutated(reply: str, pieces: list[str], draws: random.Random, longest: int) -> str:
    place = draws.randrange(len(reply) + 1)
    return reply[:place] + draws.choice([*pieces, ""]) + reply[place + draws.randint(0, longest) :]


def test_mutated_replies_never_raise() -> None:
    draws = random.Random(3)
    replies = [*THOUGHTS.values(), *(reply for reply, _, _ in TAKEN.values()), fenced(("a", "process", ONE))]
    for _ in range(700):
        reply = draws.choice(replies)
        for _ in range(draws.randint(1, 3)):
            reply = mutated(reply, PIECES, draws, 30)
        items, unusable = parse_reply(reply, draws.choice(["stop", "length", ""]))
        assert items or unusable, reply
        for found in items:
            compile(found.code, "candidate", "exec")


def test_a_slip_loses_nothing_without_a_word() -> None:
    """Whatever one slip does to one of several items: each of them is a candidate or named as unusable."""
    draws = random.Random(4)
    forms = [0, 1, 2, 3, 4, 9, 11]
    for _ in range(400):
        numbers = draws.sample(range(1, 8), draws.randint(2, 4))
        reply = "\n".join(offered(number, draws.choice(forms)) for number in numbers)
        reply = mutated(reply, [piece for piece in PIECES if "think" not in piece], draws, 3)
        items, unusable = parse_reply(reply, "stop")
        assert len(items) + len(unusable) >= len(numbers), reply
