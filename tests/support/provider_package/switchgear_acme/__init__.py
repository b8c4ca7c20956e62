"""An outside package that adds a provider type: all it takes is a row."""

from switchgear.providers.registry import ProviderType

ACME = ProviderType(
    "acme",
    "https://api.acme.example/v1",
    ask_usage=False,
    quirks=frozenset({"finish_words"}),
)
