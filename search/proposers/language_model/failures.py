"""What an error of a provider means: whether it may be billed, whether asking again helps, and when."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

_NEVER_TRANSIENT = re.compile(
    r"insufficient_quota|insufficient balance|credit balance|exceeded your current quota|billing|payment required",
    re.IGNORECASE,
)
_WAIT_IN_TEXT = re.compile(
    r"(?:retrydelay\W+|(?:try again|retry) in )(?:(\d+)m(?!s))?\s*(\d+(?:\.\d+)?)?\s*(ms|milliseconds|s|seconds?)?\b",
    re.IGNORECASE,
)
_BUSY = (408, 409, 425, 429)


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without an answer."""

    message: str
    status: int | None
    """Of HTTP; None: the server was not reached, or answered with none."""
    billed: bool
    """Whether the provider may have worked on the request: it was sent, and no error status came back."""
    transient: bool
    """Whether the same request may succeed later."""
    retry_after: float | None = None
    """Seconds that the provider asks to wait, if it says so."""

    @property
    def parameters_refused(self) -> bool:
        """Whether another form of the request may succeed."""
        return self.status in (400, 413, 422)


def failure_of(error: BaseException, message: str) -> Failure:
    """`message`: the error in words, without secrets."""
    import httpx

    chain = list(_chain(error))
    unreached = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
    unsent = (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, ImportError, UnicodeError)
    if any(isinstance(item, unsent) for item in chain):
        return Failure(message, None, billed=False, transient=False)
    if any(isinstance(item, unreached) for item in chain):
        reason = f"the server is not reached: {chain[-1] or type(chain[-1]).__name__}"
        return Failure(reason, None, billed=False, transient=True)
    if any(isinstance(item, httpx.TransportError) for item in chain):
        return Failure(message, None, billed=True, transient=True)
    status = _status(chain)
    if status is None:
        return Failure(message, None, billed=True, transient=True)
    transient = (status in _BUSY or status >= 500) and not _NEVER_TRANSIENT.search(message)
    return Failure(message, status, billed=False, transient=transient, retry_after=_retry_after(chain, message))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, the innermost last."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _status(chain: list[BaseException]) -> int | None:
    """The status that the server answered with. litellm gives one of its own to every error: to what it refuses before
    anything is sent, 4xx, which counts; and to an answer that it cannot read, 5xx, which does not."""
    import httpx
    import openai

    for item in reversed(chain):
        if isinstance(item, httpx.HTTPStatusError):
            return item.response.status_code
        if isinstance(item, openai.APIStatusError) and type(item).__module__.startswith("openai"):
            return item.status_code
    own = [getattr(item, "status_code", None) for item in chain]
    return next((status for status in own if isinstance(status, int) and 400 <= status < 500), None)


def _retry_after(chain: list[BaseException], message: str) -> float | None:
    for item in reversed(chain):
        for headers in (getattr(getattr(item, "response", None), "headers", None), *_own_headers(item)):
            if headers is not None and (seconds := seconds_asked_for(headers)) is not None:
                return seconds
    if (found := _WAIT_IN_TEXT.search(message)) and (found[1] or found[2]):
        seconds = float(found[2] or 0.0) / (1000 if (found[3] or "s").startswith("m") else 1)
        return 60.0 * int(found[1] or 0) + seconds
    return None


def _own_headers(item: BaseException) -> tuple[Any, ...]:
    return getattr(item, "litellm_response_headers", None), getattr(item, "headers", None)


def seconds_asked_for(headers: Any) -> float | None:
    """What `retry-after-ms` (milliseconds) or `retry-after` (seconds, or a date) ask for; None: neither is there."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = str(headers.get(name) or "").strip()
        try:
            return max(0.0, unit * float(value))
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            pass
    return None
