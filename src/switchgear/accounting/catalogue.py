"""Public prices of many vendors' models, as the genai-prices project keeps them.

1. `bundled` takes them from the installed package, `read` from a file that `switchgear prices update` wrote. Both keep
   them as JSON, half a megabyte: as objects they would take ten times that.
2. `Catalogue.find` matches a model's name the way the project's own clauses say; the first model that matches is it.
3. Its prices become a `Schedule`: dated entries, daily windows, and what service tiers cost instead.

Prices that depend on what no usage tells (searches, pages, hours of audio) are left out; a model that has no price of
tokens or requests besides those counts as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from hashlib import sha256

import msgspec
from msgspec import Struct, field

from switchgear.accounting import bundle
from switchgear.accounting.price import Price
from switchgear.accounting.rates import Steps, per_million, pico
from switchgear.accounting.schedule import Always, Daily, Entry, Schedule, Since, When

MAX_FILE_BYTES = 64 * 1024 * 1024

# Our classes by the project's names; of two for one class the later wins.
_CLASSES = {
    "input_mtok": "input",
    "input_text_mtok": "input",
    "cache_read_mtok": "cached_input",
    "cache_text_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "cache_write_5m_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cached_audio",
    "input_image_mtok": "input_image",
    "output_mtok": "output",
    "output_text_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
}
# Our service tiers by the contexts in which the project's variants apply.
_SERVICE_TIERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("batch", {"processing": "batch"}),
    ("priority", {"service_tier": "priority"}),
    ("flex", {"service_tier": "flex"}),
    ("fast", {"service_tier": "fast"}),
    ("fast", {"speed": "fast"}),
)


class Clause(Struct, frozen=True, omit_defaults=True):
    """One condition on a model's name: exactly one of its fields is given. All but `regex` ignore case."""

    starts_with: str | None = None
    ends_with: str | None = None
    contains: str | None = None
    regex: str | None = None
    equals: str | None = None
    any_of: list[Clause] | None = field(default=None, name="or")
    all_of: list[Clause] | None = field(default=None, name="and")

    def matches(self, name: str) -> bool:
        """Whether `name`, in lower case, meets the condition."""
        if self.starts_with is not None:
            return name.startswith(self.starts_with.lower())
        if self.equals is not None:
            return name == self.equals.lower()
        if self.contains is not None:
            return self.contains.lower() in name
        if self.ends_with is not None:
            return name.endswith(self.ends_with.lower())
        if self.regex is not None:
            return re.search(self.regex, name) is not None
        if self.any_of is not None:
            return any(clause.matches(name) for clause in self.any_of)
        return self.all_of is not None and all(clause.matches(name) for clause in self.all_of)


class Tier(Struct, frozen=True):
    """price, USD per million tokens, of requests with more than `start` input tokens."""

    start: int
    price: Decimal


class Tiered(Struct, frozen=True):
    """A price that changes for the whole request once its input has more than `start` tokens."""

    base: Decimal
    tiers: list[Tier]


Amounts = dict[str, Decimal | Tiered]


class Constraint(Struct, frozen=True, omit_defaults=True):
    """start_date: from that day on, UTC. start_time, end_time: every day between the two, UTC where no offset is given;
    across midnight when the end is the smaller."""

    start_date: str | None = None
    start_time: str | None = None
    end_time: str | None = None


class Conditional(Struct, frozen=True, omit_defaults=True):
    """Prices, and when they apply: always without a constraint."""

    prices: Amounts
    constraint: Constraint | None = None


class Variant(Struct, frozen=True, omit_defaults=True):
    """Prices, class by class, that a request in this context has instead of the usual ones."""

    when: dict[str, str]
    prices: Amounts
    constraint: Constraint | None = None


class Model(Struct, frozen=True, omit_defaults=True):
    """Of several conditional prices the last that applies is the one, of none the first."""

    id: str
    match: Clause
    prices: Amounts | list[Conditional]
    price_variants: list[Variant] | None = None


class Vendor(Struct, frozen=True, omit_defaults=True):
    """api_pattern: a regular expression that its addresses match. fallback_model_providers: ids of vendors whose models
    it sells too."""

    id: str
    api_pattern: str = ""
    models: list[Model] = []
    fallback_model_providers: tuple[str, ...] = ()


class PackedVendor(Struct, frozen=True):
    """A vendor whose models are still JSON."""

    id: str
    models: msgspec.Raw = msgspec.Raw(b"[]")
    api_pattern: str = ""
    fallback_model_providers: tuple[str, ...] = ()


class _Matched(Struct, frozen=True):
    """What is looked at of each model."""

    match: Clause


_vendors = msgspec.json.Decoder(list[Vendor])
_packed = msgspec.json.Decoder(list[PackedVendor])
_split = msgspec.json.Decoder(list[msgspec.Raw])
_matched = msgspec.json.Decoder(_Matched)
_model = msgspec.json.Decoder(Model)


class _Seller:
    """A vendor, its models by their clauses once one was asked for."""

    __slots__ = ("_models", "vendor")

    def __init__(self, vendor: PackedVendor):
        self.vendor = vendor
        self._models: list[tuple[Clause, msgspec.Raw]] | None = None

    def __len__(self) -> int:
        return len(_split.decode(self.vendor.models))

    def find(self, name: str) -> Model | None:
        if self._models is None:
            self._models = [(_matched.decode(each).match, each) for each in _split.decode(self.vendor.models)]
        return next((_model.decode(each) for clause, each in self._models if clause.matches(name)), None)


class Catalogue:
    """vendors: in the order in which the project has them. source: what versions of prices begin with."""

    def __init__(self, vendors: Iterable[PackedVendor], source: str):
        self.source = source
        self._vendors = {vendor.id: _Seller(vendor) for vendor in vendors}

    def __len__(self) -> int:
        return sum(map(len, self._vendors.values()))

    def __contains__(self, vendor: str) -> bool:
        return vendor in self._vendors

    def vendor_at(self, address: str) -> str | None:
        """The id of the vendor that is reached at a URL."""
        for vendor in (seller.vendor for seller in self._vendors.values()):
            if vendor.api_pattern and re.match(vendor.api_pattern, address):
                return vendor.id
        return None

    def find(self, vendor: str, name: str) -> Schedule | None:
        """The prices of a vendor's model by the name that requests use; None when they are not known."""
        seller = self._vendors.get(vendor)
        if seller is None:
            return None
        lowered = name.lower()
        for reference in dict.fromkeys((lowered, _dashed(lowered))):
            if (model := seller.find(reference)) is not None:
                return schedule_of(model, self.source, tiers=True)
            for other in seller.vendor.fallback_model_providers:
                if other in self._vendors and (model := self._vendors[other].find(reference)) is not None:
                    return schedule_of(model, self.source, tiers=False)
        return None


@cache
def bundled() -> Catalogue:
    """The catalogue of the installed package. Takes a second the first time.

    Raises OSError where the package cannot be read.
    """
    try:
        version, content = bundle.begin().result()
    except OSError:
        bundle.begin.cache_clear()  # the next time it may go well
        raise
    return Catalogue(_packed.decode(content), f"genai-prices/{version}")


def read(content: bytes) -> Catalogue:
    """A catalogue in the project's JSON form. Its source is a hash of the content: the form has no version.

    Raises ValueError for anything else.
    """
    try:
        vendors = _vendors.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ValueError(f"not a price catalogue: {exc}") from exc
    _check(vendors)
    catalogue = Catalogue(_packed.decode(pack(vendors)), f"genai-prices/{sha256(content).hexdigest()[:12]}")
    if not len(catalogue):
        raise ValueError("not a price catalogue: it has no models")
    return catalogue


def pack(vendors: list[Vendor]) -> bytes:
    """As JSON, without what no price is made of."""
    return msgspec.json.encode(vendors)


def schedule_of(model: Model, source: str, *, tiers: bool) -> Schedule | None:
    """When which prices of a model apply; None when it has no price of tokens or requests. tiers: of service too."""
    dated = model.prices if isinstance(model.prices, list) else [Conditional(model.prices)]
    if not any(_steps(each.prices) or "requests_kcount" in each.prices for each in dated):
        return None
    variants = [each for each in model.price_variants or () if tiers and _service_tier(each) is not None]
    base = [Entry(_when(each.constraint), each.prices) for each in dated]
    extra = [Entry(_when(each.constraint), each) for each in variants]

    def price(prices: Amounts, active: tuple[Variant, ...]) -> Price:
        own: dict[str, dict[str, Steps]] = {}
        for variant in active:
            name = _service_tier(variant)
            if name is not None:
                own[name] = _steps(variant.prices) | own.get(name, {})  # the first that gives a price has it
        return Price(source, _steps(prices), own, request_picousd=_per_request(prices))

    return Schedule(base, extra, price)


_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def _dashed(name: str) -> str:
    """`gpt-5-20251231` as `gpt-5-2025-12-31`: some resellers write dates without dashes."""
    return _COMPACT_DATE.sub(r"-\1-\2-\3", name)


def _service_tier(variant: Variant) -> str | None:
    return next((name for name, when in _SERVICE_TIERS if variant.when == when), None)


def _steps(prices: Amounts) -> dict[str, Steps]:
    found: dict[str, Steps] = {}
    for name, ours in _CLASSES.items():
        amount = prices.get(name)
        if isinstance(amount, Tiered):
            later = sorted((tier.start, per_million(tier.price)) for tier in amount.tiers)
            found[ours] = ((-1, per_million(amount.base)), *later)
        elif amount is not None:
            found[ours] = ((-1, per_million(amount)),)
    return found


def _per_request(prices: Amounts) -> int:
    amount = prices.get("requests_kcount")
    return pico(amount, 1000) if isinstance(amount, Decimal) else 0


def _when(constraint: Constraint | None) -> When:
    if constraint is None:
        return Always()
    if constraint.start_date is not None:
        start = datetime.combine(date.fromisoformat(constraint.start_date), time(), UTC)
        return Since(start.timestamp())
    if constraint.start_time is None or constraint.end_time is None:
        return Always()
    return Daily(_second_of_day(constraint.start_time), _second_of_day(constraint.end_time))


def _second_of_day(text: str) -> float:
    moment = time.fromisoformat(text)
    offset = moment.utcoffset()
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    return float((seconds - (offset.total_seconds() if offset is not None else 0)) % 86400)


def _check(vendors: list[Vendor]) -> None:
    """Raises ValueError for what only shows when a price is made: expressions, dates, amounts."""
    try:
        for vendor in vendors:
            re.compile(vendor.api_pattern)
            for model in vendor.models:
                _check_clause(model.match)
                schedule = schedule_of(model, "check", tiers=True)
                if schedule is not None:
                    schedule.at(0.0)
    except (re.error, ValueError, ArithmeticError) as exc:
        raise ValueError(f"not a price catalogue: {exc}") from exc


def _check_clause(clause: Clause) -> None:
    if clause.regex is not None:
        re.compile(clause.regex)
    for inner in (*(clause.any_of or ()), *(clause.all_of or ())):
        _check_clause(inner)
