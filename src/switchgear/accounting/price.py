"""What one model costs, and what a usage costs at that price.

All money is whole numbers: pico-dollars per token, and a sum of products that is rounded to nano-dollars once, halves
up. The classes of tokens overlap as `types.Usage` tells; `quantities` takes them apart, and `cost` and `receipt` both
count what it returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct

from switchgear.accounting.rates import CLASSES, PICO_PER_NANO, Bands, Rates, Steps, bands
from switchgear.hotpath._price import PriceTable
from switchgear.types import Usage

UNKNOWN_VERSION = "unknown"
_HASH_DIGITS = 12


class Line(Struct, frozen=True):
    """One product of a receipt. quantity: tokens, images or requests of `what`; both amounts are pico-dollars."""

    what: str
    quantity: int
    rate_picousd: int
    product_picousd: int


class Receipt(Struct, frozen=True):
    """How a cost came about. above: the context tier, more input tokens than that; None for the first.

    service_tier: whose prices these are; "" for the usual ones, also where the model has none of the tier's own.
    """

    price_version: str
    service_tier: str
    above: int | None
    lines: tuple[Line, ...]
    cost_nanousd: int
    flagged: bool

    def replay(self) -> int:
        """The cost in nano-dollars, multiplied and added up again from the lines."""
        return rounded(sum(line.quantity * line.rate_picousd for line in self.lines))


class Price:
    """Prices of one model, from one source, at one time. It does not change.

    version: the source (the catalogue's release, `config`, `cap`) and a hash of the prices themselves, so that equal
        versions are equal prices on every machine; `unknown` for no price at all.
    cost(usage): nano-dollars of a request. upper(input_tokens, output_tokens, images=0): the most that these can cost,
        each side at its dearest class and service tier. Both compiled (`hotpath._price.PriceTable`).
    flagged: the price is not the model's own: the declared cap, or none (version `unknown`).
    """

    __slots__ = ("_image", "_request", "_tables", "cost", "flagged", "table", "upper", "version")

    def __init__(
        self,
        source: str,
        steps: Mapping[str, Steps],
        tiers: Mapping[str, Mapping[str, Steps]] = MappingProxyType({}),
        *,
        image_picousd: int = 0,
        request_picousd: int = 0,
        flagged: bool = False,
    ):
        """steps: of the classes that have a price. tiers: by service tier, the steps that it has instead."""
        tables = {"": bands(steps), **{name: bands({**steps, **own}) for name, own in tiers.items()}}
        self._fill(tables, image_picousd, request_picousd)
        self.flagged = flagged
        self.version = f"{source}+{self._hash()}" if source != UNKNOWN_VERSION else source

    @classmethod
    def from_json(cls, version: str, document: Mapping[str, Any], *, flagged: bool = False) -> Price:
        """The price that `to_json` wrote down, under its version. Raises ValueError when they do not belong together.

        A ledger that keeps both can make any receipt again, whatever the configuration says by then.
        """
        price = cls.__new__(cls)
        tables: dict[str, Bands] = {
            name: tuple((above, Rates(*rates)) for above, *rates in each) for name, each in document["tiers"].items()
        }
        price._fill(tables, document["image"], document["request"])
        price.flagged, price.version = flagged, version
        if version != UNKNOWN_VERSION and not version.endswith(f"+{price._hash()}"):
            raise ValueError(f"these are not the rates of price version {version}")
        return price

    def _fill(self, tables: dict[str, Bands], image_picousd: int, request_picousd: int) -> None:
        self._tables, self._image, self._request = tables, image_picousd, request_picousd
        rows: dict[str, Sequence[tuple[int, ...]]] = {
            name: [(above, *rates) for above, rates in each] for name, each in self._tables.items()
        }
        table = PriceTable(rows, image_picousd, request_picousd)
        self.table = table
        self.cost = table.cost
        self.upper = table.upper

    def __repr__(self) -> str:
        return f"Price({self.version!r})"

    @property
    def known(self) -> bool:
        """Whether there is any price: what is billed at the cap is known, and flagged."""
        return self.version != UNKNOWN_VERSION

    def receipt(self, usage: Usage) -> Receipt:
        """The products that `cost` adds up; those of nothing are left out."""
        service_tier = usage.service_tier if usage.service_tier in self._tables else ""
        above, rates = self._rates(service_tier, usage.input_tokens)
        counted = [*zip(CLASSES, (*input_quantities(usage), *output_quantities(usage)), rates, strict=True)]
        counted += [("image", usage.images, self._image), ("request", 1, self._request)]
        lines = tuple(
            Line(what, quantity, rate, quantity * rate)
            for what, quantity, rate in counted
            if quantity and (rate or what != "request") and (rate or what != "image")
        )
        total = rounded(sum(line.product_picousd for line in lines))
        return Receipt(self.version, service_tier, above if above >= 0 else None, lines, total, self.flagged)

    def to_json(self) -> dict[str, Any]:
        """Every rate in pico-dollars, as plain values: what the version is the hash of."""
        return {
            "tiers": {name: [[above, *rates] for above, rates in each] for name, each in self._tables.items()},
            "image": self._image,
            "request": self._request,
        }

    def _rates(self, service_tier: str, input_tokens: int) -> tuple[int, Rates]:
        table = self._tables[service_tier]
        return next((band for band in reversed(table) if input_tokens > band[0]), table[0])

    def _hash(self) -> str:
        return sha256(msgspec.json.encode(self.to_json(), order="deterministic")).hexdigest()[:_HASH_DIGITS]


def input_quantities(usage: Usage) -> tuple[int, ...]:
    """Input tokens by class, each token once, in the order of `rates.CLASSES`.

    Where cached and audio tokens are more than there were, the upstream did not say which are both: as many as must be
    count as cached audio.
    """
    hour, both, image = usage.cache_write_1h_tokens, usage.cached_audio_tokens, usage.input_image_tokens
    cached = max(usage.cached_tokens - both, 0)
    audio = max(usage.input_audio_tokens - both, 0)
    written = max(usage.cache_write_tokens - hour, 0)
    text = usage.input_tokens - cached - audio - both - hour - written - image
    if text < 0:
        overlap = min(-text, cached, audio)
        cached, audio, both, text = cached - overlap, audio - overlap, both + overlap, max(text + overlap, 0)
    return text, cached, written, hour, audio, both, image


def output_quantities(usage: Usage) -> tuple[int, ...]:
    """Output tokens by class, each token once, in the order of `rates.CLASSES`."""
    reasoning, audio, image = usage.reasoning_tokens, usage.output_audio_tokens, usage.output_image_tokens
    return max(usage.output_tokens - reasoning - audio - image, 0), reasoning, audio, image


def rounded(picousd: int) -> int:
    """Nano-dollars, halves up."""
    return (picousd + PICO_PER_NANO // 2) // PICO_PER_NANO


UNKNOWN = Price(UNKNOWN_VERSION, {}, flagged=True)
"""No price: costs nothing, and says so (`flagged`, `known` is False)."""
