from __future__ import annotations

import pytest

from switchgear.config.environment import VENDORS, find_vendors
from switchgear.config.key_hash import KeyHash
from switchgear.config.load import from_environment
from switchgear.config.values import Secret
from switchgear.errors import ConfigError
from switchgear.providers.registry import BUILT_IN


def test_nothing_set_gives_the_simulator_and_a_random_key() -> None:
    config, other = from_environment({}), from_environment({"OPENAI_API_KEY": ""})
    assert {name: row.base_url for name, row in config.providers.items()} == {"simulator": "simulator:"}
    assert config.embedded_key is not None
    key = config.embedded_key.reveal()
    assert (key.startswith("sk-sg-"), len(key)) == (True, 49)
    assert config.keys[0].value == KeyHash.of(key) != other.keys[0].value


def test_each_vendor_by_its_variable() -> None:
    environment = {vendor.variable: f"key-of-{vendor.name}" for vendor in VENDORS}
    environment |= {"AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com", "SWITCHGEAR_KEY": "sk-sg-0123456789"}
    config = from_environment(environment)
    assert list(config.providers) == [vendor.name for vendor in VENDORS]
    assert config.embedded_key == Secret("sk-sg-0123456789")
    for name, provider in config.providers.items():
        assert (provider.type, provider.credentials[0].value.reveal()) == (name, f"key-of-{name}")
    assert config.providers["azure"].base_url == "https://mine.openai.azure.com"
    assert config.providers["azure"].api_version == "2024-10-21"
    newer = from_environment(environment | {"OPENAI_API_VERSION": "2025-01-01"})
    assert newer.providers["azure"].api_version == "2025-01-01"


def test_what_is_found_and_not_used_is_told() -> None:
    found = find_vendors({"ANTHROPIC_API_KEY": "a", "AZURE_OPENAI_API_KEY": "b", "GROQ_API_KEY": "c"})
    assert {one.vendor.name: one.missing for one in found} == {
        "anthropic": None,
        "groq": None,
        "azure": "AZURE_OPENAI_ENDPOINT is not set",
    }


def test_each_vendor_is_a_known_type_with_an_address() -> None:
    for vendor in VENDORS:
        assert BUILT_IN[vendor.name].env == vendor.variable
        assert (BUILT_IN[vendor.name].base_url is None) == (vendor.address is not None)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SWITCHGEAR_KEY": "short"}, "environment: keys[0].value: expected 16 to 512 characters, got 5"),
        (
            {"OPENAI_API_KEY": "sk abc"},
            "environment: providers.openai.credentials[0]: expected a key of visible ASCII characters, got spaces, "
            "line ends or non-ASCII characters",
        ),
    ],
)
def test_unusable_values(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_environment(environment)
    assert str(caught.value) == message
