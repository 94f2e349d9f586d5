"""The table of settings in the report of a study."""

from __future__ import annotations

from collections.abc import Mapping

from eval.report.data import Setting
from search.config.models import SearchConfig


def study_settings(config: SearchConfig, own: Mapping[str, str]) -> tuple[Setting, ...]:
    """What every study names, around the study's own rows."""
    values = {
        "task": config.task.name,
        "base policy": config.base_model,
        **own,
        "configuration": config.digest[:12],
    }
    return tuple(Setting(name=name, value=value) for name, value in values.items())
