"""The price of a target at a time: what the configuration says, else the catalogue, else none.

In this order; the first that has a price at that time decides:

1. `prices` of the configuration under the provider's name and the exact model, then under the provider's type;
2. the same under a beginning of the model (`name/gpt-*`), the longest first, then under the type;
3. the catalogue of public prices, under the vendor whose address the provider has, else its type's vendor; types that
   run on one's own machines have none;
4. the declared cap (`unknown_price: {input, output}`), flagged;
5. nothing: `None`, which `require` turns into a refusal or a flagged row, never into a cost of zero that looks real.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from switchgear.accounting import bundle
from switchgear.accounting import catalogue as catalogues
from switchgear.accounting.catalogue import Catalogue
from switchgear.accounting.price import UNKNOWN, Price
from switchgear.accounting.rates import Steps, per_million, pico, steps_of
from switchgear.accounting.schedule import Always, Entry, Schedule, Since, Span
from switchgear.config.schema import Config
from switchgear.config.schema_prices import Price as PriceEntry
from switchgear.config.schema_prices import Rates, UnknownPrice
from switchgear.config.validate_prices import starts_at
from switchgear.errors import ConfigError, PriceUnknown
from switchgear.types import SERVICE_TIERS

CACHE_SIZE = 4096
"""Targets whose price is remembered. Clients may name models freely (`provider/model`), so it must be bounded."""

# The catalogue's vendor of each provider type that has a public price.
VENDORS = {
    "openai": "openai",
    "azure": "azure",
    "anthropic": "anthropic",
    "gemini": "google",
    "mistral": "mistral",
    "xai": "x-ai",
    "openrouter": "openrouter",
    "together": "together",
    "groq": "groq",
    "deepseek": "deepseek",
    "perplexity": "perplexity",
    "cerebras": "cerebras",
    "zai": "zai",
}


class _Known(Struct):
    """What was found out about a target. The first span is of no time, so that it is looked up."""

    sources: list[Schedule]
    span: Span = Span(None, math.inf, -math.inf)


class Prices:
    """Prices by one configuration and one catalogue. It does not change, a reload makes another one.

    overrides: by `provider/model`, as the configuration has them. addresses: base URLs by provider name, where they are
    not the type's own. unknown: the cap for models without a price, or `refuse`, or None for the default (see
    `require`).
    """

    def __init__(
        self,
        overrides: Mapping[str, Sequence[PriceEntry]],
        catalogue: Catalogue,
        *,
        addresses: Mapping[str, str] | None = None,
        unknown: Literal["refuse"] | UnknownPrice | None = None,
    ):
        self.catalogue = catalogue
        self._exact = {key: configured(entries) for key, entries in overrides.items() if not key.endswith("*")}
        self._patterns = [
            (owner, prefix[:-1], configured(entries))
            for key, entries in overrides.items()
            if key.endswith("*")
            for owner, _, prefix in (key.partition("/"),)
        ]
        self._vendors = {
            name: vendor for name, url in (addresses or {}).items() if (vendor := catalogue.vendor_at(url)) is not None
        }
        self._cap = cap(unknown) if isinstance(unknown, UnknownPrice) else None
        self._refuse = unknown == "refuse"
        self._known: dict[tuple[str, str, str], _Known] = {}

    @classmethod
    def from_config(cls, config: Config, catalogue: Catalogue | None = None) -> Prices:
        """catalogue: one that is loaded already; by default `load_catalogue(config)`. Raises ConfigError."""
        overrides = {
            key: [entries] if isinstance(entries, PriceEntry) else entries for key, entries in config.prices.items()
        }
        addresses = {name: entry.base_url for name, entry in config.providers.items() if entry.base_url is not None}
        loaded = catalogue if catalogue is not None else load_catalogue(config)
        return cls(overrides, loaded, addresses=addresses, unknown=config.unknown_price)

    def at(self, provider: str, provider_type: str, model: str, time_s: float) -> Price | None:
        """The price of a provider's model at a POSIX time, seconds; None when it is not known and no cap is declared.

        provider: the configured name. model: the name the provider is asked for. In memory after the first time.
        """
        key = (provider, provider_type, model)
        known = self._known.get(key)
        if known is None:
            known = _Known(self._sources(*key))
            while len(self._known) >= CACHE_SIZE:
                self._known.pop(next(iter(self._known)), None)
            self._known[key] = known
        elif known.span.since_s <= time_s < known.span.until_s:
            return known.span.price
        known.span = self._resolve(known.sources, time_s)
        return known.span.price

    def require(self, provider: str, provider_type: str, model: str, time_s: float, *, limited: bool = False) -> Price:
        """As `at`, for a request that is about to be sent.

        limited: a limit on cost or a budget applies to the request. A price that is not known is refused where that is
        so and where `unknown_price: refuse` is written; else it is `price.UNKNOWN`, whose rows are flagged.
        Raises PriceUnknown.
        """
        price = self.at(provider, provider_type, model, time_s)
        if price is not None:
            return price
        if self._refuse or limited:
            raise PriceUnknown(provider, model)
        return UNKNOWN

    def _resolve(self, sources: Sequence[Schedule], time_s: float) -> Span:
        window = Span(None)
        for schedule in sources:
            span = schedule.at(time_s)
            window = span.narrowed(window)
            if span.price is not None:
                return window
        return Span(self._cap).narrowed(window)

    def _sources(self, provider: str, provider_type: str, model: str) -> list[Schedule]:
        owners = list(dict.fromkeys((provider, provider_type)))
        found = [self._exact[key] for owner in owners if (key := f"{owner}/{model}") in self._exact]
        beginnings = [
            (-len(prefix), owners.index(owner), schedule)
            for owner, prefix, schedule in self._patterns
            if owner in owners and model.startswith(prefix)
        ]
        found += [schedule for _, _, schedule in sorted(beginnings, key=lambda each: each[:2])]
        public = self._public(provider, provider_type, model)
        return [*found, public] if public is not None else found

    def _public(self, provider: str, provider_type: str, model: str) -> Schedule | None:
        if provider_type == "huggingface":  # routed to the vendor behind the colon, at that vendor's price
            name, _, reseller = model.rpartition(":")
            return self.catalogue.find(f"huggingface_{reseller}", name) if name else None
        vendor = VENDORS.get(provider_type)
        if vendor is None:
            return None
        return self.catalogue.find(self._vendors.get(provider, vendor), model)


def load_catalogue(config: Config) -> Catalogue:
    """The catalogue of `price_catalogue`, the package's own where there is no such file. Raises ConfigError."""
    if config.price_catalogue is None:
        return _bundled()
    try:
        with Path(config.price_catalogue).open("rb") as file:
            content = file.read(catalogues.MAX_FILE_BYTES + 1)
        if len(content) > catalogues.MAX_FILE_BYTES:
            raise ValueError("not a price catalogue: it is too large")
        return catalogues.read(content)
    except FileNotFoundError:
        return _bundled()
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise ConfigError(f"{config.price_catalogue}: {reason}", key="price_catalogue") from exc


def _bundled() -> Catalogue:
    try:
        return catalogues.bundled()
    except OSError as error:
        raise ConfigError(str(error)) from error


def prepare(config: Config) -> None:
    """Begin to load the built-in catalogue in the background, where the configuration will need it."""
    if config.price_catalogue is None or not Path(config.price_catalogue).exists():
        bundle.begin()


def configured(entries: Sequence[PriceEntry]) -> Schedule:
    """The schedule of one key of `prices`: the latest entry that has begun applies, before the first there is none."""
    dated = [Entry(Since(starts_at(e.since)) if e.since is not None else Always(), e) for e in entries]
    dated.sort(key=lambda entry: entry.when.start_s if isinstance(entry.when, Since) else float("-inf"))
    return Schedule(dated, (), lambda entry, _: _price(entry), strict=True)


def cap(declared: UnknownPrice) -> Price:
    """What models without a price are billed at."""
    rates = {"input": per_million(declared.input), "output": per_million(declared.output)}
    return Price("cap", steps_of(rates), flagged=True)


def _price(entry: PriceEntry) -> Price:
    tiers: dict[str, dict[str, Steps]] = {}
    for name in SERVICE_TIERS:
        rates: Rates | None = getattr(entry, name)
        if rates is not None:
            tiers[name] = steps_of(_rates(rates))
    return Price(
        "config",
        steps_of(_rates(entry), [(tier.above, _rates(tier)) for tier in entry.tiers]),
        tiers,
        image_picousd=pico(entry.image or 0.0),
        request_picousd=pico(entry.request or 0.0),
    )


def _rates(rates: Rates) -> dict[str, int]:
    given = {name: getattr(rates, name) for name in Rates.__struct_fields__}
    return {name: per_million(usd) for name, usd in given.items() if usd is not None}
