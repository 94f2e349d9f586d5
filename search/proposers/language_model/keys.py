"""Which key is sent where: that of a provider to this provider alone, and none to a server of one's own."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, urlsplit

from rewards_generated.errors import UserError
from search.proposers.language_model.client import litellm
from search.proposers.language_model.settings import ModelSettings

NO_KEY = "none"
"""What a server without a key is sent, since the clients insist on some text."""
_HOSTS = {
    "openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "gemini": "generativelanguage.googleapis.com",
    "cohere": "api.cohere.com",
    "openrouter": "openrouter.ai",
    "huggingface": "router.huggingface.co",
    "replicate": "api.replicate.com",
}
"""Addresses of providers that litellm does not give along with the provider's name."""
_ACCOUNTS = ("azure", "bedrock", "cloudflare", "databricks", "oci", "sagemaker", "snowflake", "vertex_ai", "watsonx")
"""Providers whose address belongs to an account: what is sent there is theirs."""


def key_of(settings: ModelSettings) -> str | None:
    """The key to send; None leaves it to litellm to find the provider's own.

    Raises UserError if it is missing, or holds what no header can carry.
    """
    model, variable = settings.model, settings.api_key_variable
    if variable:
        if not os.environ.get(variable, "").strip():
            raise UserError(f"proposer.options.models: {model!r} needs the environment variable {variable}")
        return _sendable(variable)
    _, provider, _, address = litellm().get_llm_provider(model=model)
    account = provider.startswith(_ACCOUNTS)
    if settings.api_base and not account and not _same_site(settings.api_base, address or _HOSTS.get(provider)):
        own_server = address is None and provider not in _HOSTS
        usual = f"{provider.upper()}_API_KEY"
        return _sendable(usual) if own_server and os.environ.get(usual, "").strip() else NO_KEY
    missing = litellm().validate_environment(model=model, api_base=settings.api_base)["missing_keys"]
    if missing:
        raise UserError(f"proposer.options.models: {model!r} needs the environment variable {' and '.join(missing)}")
    usual = f"{provider.upper()}_API_KEY"
    return _sendable(usual) if os.environ.get(usual, "").strip() else None


def secrets(settings: ModelSettings) -> dict[str, str]:
    """Values that no record may hold, by the variable that they stand in."""
    found = {
        name: value.strip()
        for name, value in os.environ.items()
        if name == settings.api_key_variable or name.upper().endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))
    }
    for part in parse_qsl(urlsplit(settings.api_base or "").query):
        found[f"api_base {part[0]}"] = part[1]
    return {name: value for name, value in found.items() if len(value) >= 6}


def redacted(text: str, settings: ModelSettings) -> str:
    """The text without those values, in base64, hex and percent encoding neither."""
    for name, value in secrets(settings).items():
        for form in _forms(value):
            text = text.replace(form, f"[{name}]")
    return text


def _forms(value: str) -> Iterator[str]:
    """The value as it is, and what of its encodings does not depend on what stands around it."""
    content = value.encode()
    yield value
    yield quote(value, safe="")
    yield content.hex()
    yield content.hex().upper()
    for before in range(3):
        # Four characters hold three bytes: those that share a character with bytes around it are left out.
        whole = content[(3 - before) % 3 :]
        encoded = base64.b64encode(whole[: len(whole) // 3 * 3]).decode()
        if len(encoded) >= 8:
            yield encoded
            yield encoded.translate(str.maketrans("+/", "-_"))


def _sendable(variable: str) -> str:
    """The key without blanks around it."""
    key = os.environ[variable].strip()
    if not (key.isascii() and key.isprintable()):
        raise UserError(
            f"the environment variable {variable} holds a line break or a character that no key has; set it again"
        )
    return key


def _same_site(address: str, other: str | None) -> bool:
    """Whether two addresses are of one registered name, such as api.openai.com and eu.api.openai.com."""
    if other is None:
        return False
    hosts = [urlsplit(item if "//" in item else f"//{item}").hostname or "" for item in (address, other)]
    return hosts[0] == hosts[1] or (
        hosts[0].split(".")[-2:] == hosts[1].split(".")[-2:] and not hosts[0].replace(".", "").isdigit()
    )
