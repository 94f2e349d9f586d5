"""The hub's client tells of its retries only outside `quiet_hub`."""

from __future__ import annotations

from logging import WARNING

import pytest

from eval.hub import quiet_hub


def fail_quietly(seen: list[bool]) -> None:
    from huggingface_hub.utils import logging

    with quiet_hub():
        seen.append(logging.get_logger("huggingface_hub.utils._http").isEnabledFor(WARNING))
        raise OSError("no network")


def test_retries_are_not_told_and_the_level_comes_back_after_a_failure() -> None:
    from huggingface_hub.utils import logging

    before, seen = logging.get_verbosity(), []
    with pytest.raises(OSError, match="no network"):
        fail_quietly(seen)
    assert seen == [False]
    assert logging.get_verbosity() == before
