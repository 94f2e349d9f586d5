"""Whole searches whose proposer is a language model behind a local server, through trouble and an interruption."""

from __future__ import annotations

import hashlib
import itertools
import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.tasks.registry import build_task
from search.cli import main
from search.config.source import parse_config
from search.ledger import Ledger
from search.proposers.base import EarlierRound
from search.proposers.language_model.exchanges import Exchanges
from search.proposers.registry import build_proposer
from search.results.models import proposing_models
from search.results.ranking import outcomes
from search.rounds.feedback import build_feedback
from search.rounds.request import first_request
from tests.search.proposers.openai_server import Answer, Failure, OpenAIServer, Script, Silence
from tests.search.searches import reward_code, run_search, write_config


def reply(*numbers: int) -> str:
    return "\n".join(f"name: bonus-{number}\n```python\n{reward_code(number)}```\n" for number in numbers)


def proposer(url: str, timeout_seconds: float = 0.5) -> dict[str, object]:
    options = {
        "models": "openai/test",
        "api_base": url,
        "retry_wait_seconds": 0.01,
        "timeout_seconds": timeout_seconds,
        "max_tokens": 1000,
    }
    return {"name": "litellm", "options": options}


FIRST: Script = [Failure(429, retry_after=0.01), Failure(500), Answer('{"candidates": [{'), Answer(reply(1, 1, 2))]
SECOND: Script = [Silence(), Answer("Gladly:\n\n" + reply(3, 4))]


def test_two_rounds_through_trouble_and_an_interruption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with OpenAIServer([*FIRST, *SECOND]) as server:
        code, run = run_search(
            tmp_path, proposer=proposer(server.url), executor={"name": "tests.search.instant:InterruptedLater"}
        )
        assert code == 130  # after the second round's calls, before its screenings
        asked = len(server.requests)
        assert main(["run", "--run-dir", str(run), "--resume"]) == 0
        assert len(server.requests) == asked == 6
    ledger = Ledger.open(run)
    calls, rounds, names = ledger.calls(), ledger.rounds(), [item.name for item in ledger.candidates()]
    ledger.close()
    assert len(names) == 4
    assert [call.reply is None for call in calls] == [True, True, False, False, True, False]
    assert {item.reason for item in rounds[0].unusable} == {"malformed", "duplicate"}
    assert sum(call.prompt_tokens + call.completion_tokens for call in calls) >= server.billed_tokens
    board = json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))
    assert sum(item["winner"] for item in board) == 1
    assert main(["status", str(run)]) == 0
    assert "6 calls" in capsys.readouterr().out


def test_a_provider_that_fails_for_good_is_a_sentence_and_can_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OpenAIServer([Failure(401), Answer(reply(1, 2)), Answer(reply(3, 4))]) as server:
        code, run = run_search(tmp_path, proposer=proposer(server.url))
        assert code == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert main(["run", "--run-dir", str(run), "--resume"]) == 0


DYING = """
import os, signal, sys
from tests.search.proposers.openai_server import Answer, OpenAIServer
from tests.search.test_search_with_language_model import reply

def script(body):
    if server.billed_tokens:
        os.kill(os.getpid(), signal.SIGKILL)
    return Answer(reply(1, 2))

with OpenAIServer(script) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


def test_a_server_killed_while_it_answers_costs_that_answer_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("whole", "disturbed"):
        (tmp_path / name).mkdir()
    with OpenAIServer([Answer(reply(1, 2)), Answer(reply(3, 4))]) as server:
        code, whole = run_search(tmp_path / "whole", proposer=proposer(server.url, 60))
        assert code == 0
    command = [sys.executable, "-c", DYING]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as dying:
        assert dying.stdout is not None
        url = dying.stdout.readline().strip()
        code, run = run_search(tmp_path / "disturbed", proposer=proposer(url, 60))
        assert code == 2
        assert dying.wait() == -signal.SIGKILL
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.count("\n") == 1
    with OpenAIServer([Answer(reply(3, 4))], port=int(url.split(":")[2].partition("/")[0])) as again:
        assert main(["run", "--run-dir", str(run), "--resume"]) == 0
        assert len(again.requests) == 1
    assert (run / "leaderboard.json").read_text() == (whole / "leaderboard.json").read_text()
    with closing(Ledger.open(run)) as ledger:
        calls = ledger.calls()
    assert [call.reply is None for call in calls].count(False) == 2
    lost = [call for call in calls if call.reply is None]
    # The one that it died over may have been billed, in full; the others never reached it.
    assert [call.completion_tokens for call in lost if call.completion_tokens] == [1000]


def test_an_exhausted_budget_ends_the_proposing_and_not_the_search(tmp_path: Path) -> None:
    with OpenAIServer([Answer(reply(1, 2))]) as server:
        settings = proposer(server.url)
        settings["options"] = {**settings["options"], "budget_calls": 1}  # type: ignore[dict-item]
        code, run = run_search(tmp_path, proposer=settings)
        assert code == 0
        assert len(server.requests) == 1
    ledger = Ledger.open(run)
    assert [len(ledger.candidates(number)) for number in (1, 2)] == [2, 0]
    assert ledger.milestone("finished") is not None
    ledger.close()


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of three rounds in which a bandit chooses between a model whose replies are of use and one whose are
    not."""

    def script(body: dict[str, Any]) -> Answer:
        number = int(hashlib.sha256(body["messages"][0]["content"].encode()).hexdigest()[:8], 16) % 2000
        useless = body["model"] == "useless"
        return Answer("I would rather not." if useless else reply(number), "stop", None, 100, 50)

    prices = {"usd_per_million_prompt_tokens": 10, "usd_per_million_completion_tokens": 20}
    models = [{"model": f"openai/{name}", **prices} for name in ("useless", "useful")]
    with OpenAIServer(script) as server:
        settings = proposer(server.url)
        more = {
            "models": models,
            "choice": "bandit",
            "candidates_per_call": 1,
            "max_follow_ups": 4,
            "timeout_seconds": 60,
        }
        settings["options"] = {**settings["options"], **more}  # type: ignore[dict-item]
        plan = {"rounds": 3, "candidates_per_round": 4, "base_rollouts": {"questions": 8, "per_question": 2}}
        code, run = run_search(tmp_path_factory.mktemp("bandit"), proposer=settings, search=plan)
    assert code == 0
    return run


@pytest.mark.slow
def test_a_bandit_learns_from_round_to_round_and_its_statistics_are_shown(
    two_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Ledger.open(two_models)) as ledger:
        config = parse_config(ledger.fact("config"))
        useless, useful = sorted(proposing_models(ledger, outcomes(config, ledger)), key=lambda item: item.candidates)
        calls = [Counter(call.model for call in ledger.calls(number)) for number in (1, 2, 3)]
    assert (useless.name, useless.candidates, useless.mean, useless.best) == ("openai/useless", 0, None, None)
    assert useful.candidates == 12
    assert useful.accepted == useful.mean.n == 12
    assert useful.tokens == 150 * useful.calls
    assert useful.cost_usd == pytest.approx(useful.calls * 0.002)
    assert useful.best_scores.f1.value > useful.mean.value
    assert calls[0]["openai/useless"] > 0
    assert sum(item["openai/useful"] for item in calls) > sum(item["openai/useless"] for item in calls)
    assert useless.calls + useful.calls == sum(map(Counter.total, calls))
    capsys.readouterr()
    assert main(["status", str(two_models)]) == 0
    shown = capsys.readouterr().out
    assert f"{useful.mean.value:.3f} [{useful.mean.low:.3f}, {useful.mean.high:.3f}] of 12" in shown
    assert "openai/useful" in shown
    assert f"${useful.cost_usd:.2f}" in shown
    page = (two_models / "report.html").read_text(encoding="utf-8")
    assert "openai/useful" in page
    assert f"{useful.mean.value:.3f}" in page


def test_the_same_calls_and_scores_lead_to_the_same_choices(two_models: Path) -> None:
    """A later round asks the models that the record of the earlier ones leads to, whenever that is read."""
    with closing(Ledger.open(two_models)) as ledger:
        config, candidates = parse_config(ledger.fact("config")), ledger.candidates()
        built = build_proposer("litellm", config.proposer.options)
        for number in (2, 3):
            known = [item for item in outcomes(config, ledger) if item.candidate.round < number]
            asked = replace(
                first_request(config, build_task(config.task), number, ()),
                feedback=build_feedback("ranked", known, 0),
                earlier=[
                    EarlierRound(ledger.calls(n), {item.name: item.origin for item in candidates if item.round == n})
                    for n in range(1, number)
                ],
            )
            exchanges = Exchanges(built, asked)
            assert [exchanges._chosen(call.exchange).model for call in ledger.calls(number)] == [
                call.model for call in ledger.calls(number)
            ]


REFUSING = {"model": "openai/refusing", "usd_per_million_prompt_tokens": 2, "usd_per_million_completion_tokens": 8}
CUTTING = {"model": "openai/cutting", "usd_per_million_prompt_tokens": 1, "usd_per_million_completion_tokens": 30}


class Bill:
    """What a server gave to two models: one takes no temperature, the other's replies end at the limit. A request
    is held until the driver that sent it was killed, whenever `holding` is set."""

    def __init__(self) -> None:
        self.answered: list[tuple[str, int, int]] = []
        self.held = threading.Semaphore(0)
        self.holding = False
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Answer | Failure | Silence:
        if body["model"] == "refusing" and "temperature" in body:
            return Failure(400, "Unsupported value: 'temperature' does not support 0.6 with this model.")
        with self.lock:
            if self.holding:
                self.holding = False
                self.held.release()
                return Silence(300.0)
            cut = body["model"] == "cutting"
            text = reply(next(self.numbers)) + ("\nname: lost\n```python\ndef reward(prompt" if cut else "")
            tokens = 100 + len(self.answered), 1000 if cut else 40
            self.answered.append((str(body["model"]), *tokens))
            return Answer(text, "length" if cut else "stop", None, *tokens)


@pytest.mark.slow
def test_two_models_side_by_side_killed_twice_cost_what_the_server_counted(tmp_path: Path) -> None:
    bill = Bill()
    with OpenAIServer(bill) as server:
        options = {
            "models": [REFUSING, CUTTING],
            "api_base": server.url,
            "candidates_per_call": 1,
            "parallel": 2,
            "max_tokens": 1000,
            "budget_usd": 5.0,
        }
        settings = {"name": "litellm", "options": options}
        plan = {"candidates_per_round": 4, "base_rollouts": {"questions": 8, "per_question": 2}}
        config, run = write_config(tmp_path, proposer=settings, search=plan), tmp_path / "run"
        for start in (["--config", config, "--run-dir", run], ["--run-dir", run, "--resume"]):
            bill.holding = True
            words = [sys.executable, "-m", "search.cli", "run", *map(str, start)]
            driver = subprocess.Popen(words, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
            assert bill.held.acquire(timeout=120)
            driver.kill()
            driver.wait()
        assert main(["run", "--run-dir", str(run), "--resume"]) == 0
        sent = len(server.requests)
    ledger = Ledger.open(run)
    calls = ledger.calls()
    ledger.close()
    answered = [call for call in calls if call.reply is not None]
    found = {(call.model, call.prompt_tokens, call.completion_tokens) for call in answered}
    billed = {(f"openai/{model}", *tokens) for model, *tokens in bill.answered}
    assert found <= billed
    prices = {model["model"]: model for model in (REFUSING, CUTTING)}
    for call in calls:
        price = prices[call.model]
        per_token = price["usd_per_million_prompt_tokens"], price["usd_per_million_completion_tokens"]
        cost = (call.prompt_tokens * per_token[0] + call.completion_tokens * per_token[1]) / 1e6  # type: ignore[operator]
        assert call.cost_usd == pytest.approx(cost)
    lost = [call for call in calls if "no answer was recorded" in str(call.error)]
    # Those that were held, and what was answered to a driver that was dead by then.
    assert len(lost) >= 2 + len(billed - found)
    assert len(calls) >= sent
    assert all(call.completion_tokens == 1000 and call.prompt_tokens > len(call.prompt) for call in lost)
    assert {call.model for call in answered} == {"openai/refusing", "openai/cutting"}
