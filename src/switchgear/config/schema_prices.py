"""Prices and the ledger.

Prices are in USD per million tokens, per image or per request. A class of tokens without a price of its own costs what
its side costs: `cached_input`, `cache_write`, `input_audio` and `input_image` the input price, `reasoning`,
`output_audio` and `output_image` the output price; `cache_write_1h` costs what `cache_write` does, `cached_audio` what
`cached_input` does.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from switchgear.config.section import Section
from switchgear.config.values import Duration, Secret, Size

Usd = Annotated[float, Meta(ge=0)]


class Rates(Section, frozen=True):
    """USD per million tokens of each class. cache_write_1h: of a cache entry that is kept for an hour."""

    input: Usd | None = None
    cached_input: Usd | None = None
    cache_write: Usd | None = None
    cache_write_1h: Usd | None = None
    output: Usd | None = None
    reasoning: Usd | None = None
    input_audio: Usd | None = None
    cached_audio: Usd | None = None
    output_audio: Usd | None = None
    input_image: Usd | None = None
    output_image: Usd | None = None


class PriceTier(Rates, frozen=True, kw_only=True):
    """Prices of the whole request once its input has more than `above` tokens; what is not given stays as below."""

    above: Annotated[int, Meta(ge=1)]


class Price(Rates, frozen=True, kw_only=True, rename={"since": "from"}):
    """What a model costs, from a date on. request: USD per request. image: USD per generated image.

    since (written `from`): the first day, as `2026-01-31` or with a time; the latest entry that has begun applies.
    batch, priority, flex, fast: what those service tiers cost instead; what is not given stays as above.
    """

    since: str | None = None
    tiers: list[PriceTier] = []
    request: Usd | None = None
    image: Usd | None = None
    batch: Rates | None = None
    priority: Rates | None = None
    flex: Rates | None = None
    fast: Rates | None = None


class UnknownPrice(Section, frozen=True):
    """What a model without a known price is billed at, USD per million tokens; its ledger rows are flagged."""

    input: Usd
    output: Usd


class Sink(Section, frozen=True):
    """Where ledger rows go besides the database (`accounting.sinks`, entry point `switchgear.sinks`).

    type: `clickhouse`, or an installed one's name. url: of the server. name: what its progress is stored under, its
    type if it has none; to change it is to send every row that still lies in a journal again. options: what else the
    type takes.
    """

    type: Annotated[str, Meta(min_length=1)]
    url: str
    name: Annotated[str, Meta(max_length=64)] = ""
    user: str = ""
    password: Secret | None = None
    options: dict[str, str] = {}


class Ledger(Section, frozen=True):
    """The usage ledger. path: folder of the workers' journals. max_bytes: of all journals of this machine that are not
    in the database yet. when_full: refuse requests, or drop the oldest rows and count them. retention: how long the
    database keeps rows, for ever without it; sums by hour and day are kept."""

    enabled: bool = True
    path: str = "ledger/"
    max_bytes: Size = Size(1024 * 1024 * 1024)
    when_full: Literal["refuse", "drop_oldest"] = "refuse"
    retention: Duration | None = None
    sinks: list[Sink] = []
