"""Exports are verified in `test_verification.py`; elsewhere in this folder that would only cost time."""

from __future__ import annotations

import pytest

from rewards_generated import export


@pytest.fixture(autouse=True)
def unverified(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.name != "test_verification.py":
        monkeypatch.setattr(export, "require_same_scores", lambda *given: None)
