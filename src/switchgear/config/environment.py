"""The configuration of `switchgear serve` without a file: providers whose keys are in the environment.

One row per variable. The addresses are those of the provider types (`providers.registry`), except Azure's, which every
customer has one of. With no key at all there is the built-in simulator, so that the first request answers.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from msgspec import Struct

from switchgear.config.key_hash import KeyHash
from switchgear.config.report import Report
from switchgear.config.schema import Config, Credential, Key, Provider
from switchgear.config.schema_prices import Price
from switchgear.config.validate import SIMULATOR_URL, validate
from switchgear.config.values import Secret

KEY_VARIABLE = "SWITCHGEAR_KEY"
AZURE_API_VERSION = "2024-10-21"  # the latest version that Azure calls generally available


class Vendor(Struct, frozen=True):
    """variable: holds the key. name: of the provider and of its type.

    address, version: variables with the base URL and the API version; a vendor with `address` needs it.
    """

    variable: str
    name: str
    address: str | None = None
    version: str | None = None


class Found(Struct, frozen=True):
    """A vendor whose key is in the environment. missing: what keeps it from being used, None when it is live."""

    vendor: Vendor
    missing: str | None = None


VENDORS = (
    Vendor("OPENAI_API_KEY", "openai"),
    Vendor("ANTHROPIC_API_KEY", "anthropic"),
    Vendor("GEMINI_API_KEY", "gemini"),
    Vendor("MISTRAL_API_KEY", "mistral"),
    Vendor("XAI_API_KEY", "xai"),
    Vendor("GROQ_API_KEY", "groq"),
    Vendor("DEEPSEEK_API_KEY", "deepseek"),
    Vendor("OPENROUTER_API_KEY", "openrouter"),
    Vendor("TOGETHER_API_KEY", "together"),
    Vendor("PERPLEXITY_API_KEY", "perplexity"),
    Vendor("CEREBRAS_API_KEY", "cerebras"),
    Vendor("AZURE_OPENAI_API_KEY", "azure", address="AZURE_OPENAI_ENDPOINT", version="OPENAI_API_VERSION"),
)


def find_vendors(environment: Mapping[str, str] | None = None) -> list[Found]:
    """The vendors whose keys are set (and not empty), in the order of `VENDORS`."""
    environment = os.environ if environment is None else environment
    found = []
    for vendor in VENDORS:
        if not environment.get(vendor.variable):
            continue
        missing = None
        if vendor.address and not environment.get(vendor.address):
            missing = f"{vendor.address} is not set"
        found.append(Found(vendor, missing))
    return found


def from_environment(environment: Mapping[str, str] | None = None) -> Config:
    """Providers by their variables, else one named `simulator` at `simulator:`, an address for `serve` to fill in.

    One key, `default`: the value of SWITCHGEAR_KEY, or a new random one; processes that must agree on it (workers) take
    the Config of their parent. Raises ConfigError when a value in the environment is unusable.
    """
    environment = os.environ if environment is None else environment
    providers = {
        found.vendor.name: _provider(found.vendor, environment)
        for found in find_vendors(environment)
        if found.missing is None
    }
    prices: dict[str, Price | list[Price]] = {}
    if not providers:
        providers = {"simulator": Provider(type="openai", base_url=SIMULATOR_URL)}
        prices = {"simulator/*": Price(input=0.0, output=0.0)}  # declared, so that nobody is billed for its models
    value = environment.get(KEY_VARIABLE) or f"sk-sg-{secrets.token_urlsafe(32)}"
    report = Report(None, "environment")
    key = Key(name="default", value=KeyHash.of(value))
    config = Config(providers=providers, keys=[key], prices=prices, embedded_key=Secret(value))
    validate(config, report)
    report.raise_errors()
    return config


def _provider(vendor: Vendor, environment: Mapping[str, str]) -> Provider:
    version = environment.get(vendor.version) or AZURE_API_VERSION if vendor.version else None
    return Provider(
        type=vendor.name,
        base_url=environment[vendor.address] if vendor.address else None,
        credentials=[Credential(value=Secret(environment[vendor.variable]), name=vendor.variable)],
        api_version=version,
    )
