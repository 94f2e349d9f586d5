"""What errors mean, made of the exceptions that the clients really raise."""

from __future__ import annotations

import time
from email.utils import formatdate

import httpx
import pytest

from search.proposers.language_model.failures import Failure, failure_of, seconds_asked_for

REQUEST = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")


def answered(status: int, headers: dict[str, str] | None = None) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError(
        "no", request=REQUEST, response=httpx.Response(status, headers=headers, request=REQUEST)
    )


def wrapped(inner: Exception, outer: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


def read(error: Exception, message: str = "no") -> Failure:
    return failure_of(error, message)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_busy_servers_are_asked_again(status: int) -> None:
    failure = read(answered(status))
    assert failure.transient
    assert not failure.billed
    assert failure.status == status


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_refusals_are_not(status: int) -> None:
    failure = read(answered(status))
    assert not failure.transient
    assert not failure.billed
    assert failure.parameters_refused == (status in (400, 413, 422))


def test_the_servers_own_status_counts_whatever_it_is_wrapped_in() -> None:
    class Renamed(Exception):
        status_code = 400

    assert read(wrapped(answered(404), Renamed())).status == 404


def test_an_account_without_money_is_not_asked_again() -> None:
    assert not read(answered(429), "You exceeded your current quota, please check your plan").transient
    assert not read(answered(429), '{"code": "insufficient_quota"}').transient


@pytest.mark.parametrize("kind", [httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError])
def test_what_was_sent_may_be_billed(kind: type[httpx.TransportError]) -> None:
    failure = read(wrapped(kind("gone"), RuntimeError("Connection error.")))
    assert failure.billed
    assert failure.transient


@pytest.mark.parametrize(
    "fault",
    [
        httpx.InvalidURL("no port"),
        httpx.UnsupportedProtocol("ftp"),
        httpx.LocalProtocolError("Illegal header value"),
        ModuleNotFoundError("No module named 'google'"),
        UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"),
    ],
)
def test_what_was_never_sent_costs_nothing_and_is_not_tried_again(fault: Exception) -> None:
    failure = read(wrapped(fault, RuntimeError("Connection error.")))
    assert not failure.billed
    assert not failure.transient


def test_a_server_that_is_not_reached_costs_nothing_and_is_tried_again() -> None:
    failure = read(wrapped(httpx.ConnectError("refused"), RuntimeError("Connection error.")))
    assert not failure.billed
    assert failure.transient


def test_an_answer_that_cannot_be_read_may_be_billed() -> None:
    failure = read(ValueError("Expecting value: line 1"))
    assert failure.billed
    assert failure.transient


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "4000"}, 4.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_what_a_provider_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_asked_for(httpx.Headers(headers)) == seconds
    assert read(answered(429, headers)).retry_after == seconds


def test_the_wait_may_be_a_date() -> None:
    seconds = seconds_asked_for({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert seconds is not None
    assert 27 < seconds <= 30


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached. Please try again in 1.5s. Visit", 1.5),
        ("Please try again in 350ms.", 0.35),
        ("Please retry in 20 seconds", 20.0),
        ("try again in 1m30s", 90.0),
        ('{"@type": "RetryInfo", "retryDelay": "34s"}', 34.0),
        ("try again later", None),
    ],
)
def test_the_wait_may_stand_in_the_text(message: str, seconds: float | None) -> None:
    assert read(answered(429), message).retry_after == seconds
