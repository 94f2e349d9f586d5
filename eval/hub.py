"""The model and data hub, as quiet as the rest of the program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Within it the hub's client still repeats failed requests, without telling of each: the caller reports the end."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
