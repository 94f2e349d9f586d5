"""The litellm package, which takes 4-6 s to import: nothing here does so before a model is about to be used."""

from __future__ import annotations

import logging
import os
import warnings
from functools import cache
from typing import Any


@cache
def litellm() -> Any:
    """The package, told to fetch nothing by itself, to read no `.env` file and to print nothing."""
    for name in ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "LITELLM_LOCAL_BLOG_POSTS"):
        os.environ[name] = "True"
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm as package

    # Of replies that are not quite in the provider's own form.
    warnings.filterwarnings("ignore", message="Pydantic serializer warnings")
    package.suppress_debug_info = True
    package.drop_params = False
    package.telemetry = False
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        # Its errors are raised as well, and told by us.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return package
