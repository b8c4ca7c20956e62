"""Receipts: a row's tokens times the prices in force when it was sent, beside what the ledger has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from switchgear.accounting.prices import Prices
from switchgear.accounting.row import UsageRow, iso_time
from switchgear.config.schema import Config

_NANO = 1_000_000_000
_PICO = 1_000_000_000_000


def receipts(rows: Sequence[UsageRow], config: Config) -> list[dict[str, Any]]:
    """One mapping per row. `replayed_nanousd` is None where no price is known now; `same` tells whether the ledger's
    cost came out again."""
    prices = Prices.from_config(config)
    return [_receipt(row, config, prices) for row in rows]


def _receipt(row: UsageRow, config: Config, prices: Prices) -> dict[str, Any]:
    provider = config.providers.get(row.provider)
    price = prices.at(row.provider, provider.type if provider else "", row.served_model, row.time_us / 1_000_000)
    found = msgspec.to_builtins(price.receipt(row.usage())) if price is not None else {}
    replayed = found.get("cost_nanousd")
    return {
        "request_id": row.request_id,
        "attempt": row.attempt,
        "time": iso_time(row.time_us),
        "provider": row.provider,
        "model": row.served_model,
        "status": row.status,
        "error_class": row.error_class,
        "estimated": row.estimated,
        "unknown_price": row.unknown_price,
        "price_version": row.price_version,
        "replayed_price_version": found.get("price_version"),
        "service_tier": found.get("service_tier", ""),
        "above": found.get("above"),
        "lines": found.get("lines", []),
        "cost_nanousd": row.cost_nanousd,
        "replayed_nanousd": replayed,
        "same": replayed == row.cost_nanousd,
    }


def as_text(found: Sequence[dict[str, Any]]) -> str:
    """For a terminal; prices in USD per million tokens."""
    blocks = [_block(one) for one in found]
    total = sum(one["cost_nanousd"] for one in found)
    if len(found) > 1:
        blocks.append(f"total of {len(found)} upstream requests  {_usd(total)}")
    return "\n\n".join(blocks)


def _block(one: dict[str, Any]) -> str:
    notes = [one["error_class"], *(name for name in ("estimated", "unknown_price") if one[name])]
    outcome = f"status {one['status']}" + "".join(f", {note.replace('_', ' ')}" for note in notes if note)
    tier = "".join(
        [
            f", service tier {one['service_tier']}" if one["service_tier"] else "",
            f", above {one['above']} input tokens" if one["above"] is not None else "",
        ]
    )
    lines = [
        f"{one['request_id']}  attempt {one['attempt']}  {one['time']}",
        f"  {one['provider']}/{one['model']}  {outcome}",
        f"  prices {one['price_version'] or 'none'}{tier}",
        *(_line(line) for line in one["lines"]),
        f"  {'cost':<16} {_usd(one['cost_nanousd']):>42}",
    ]
    if not one["same"]:
        lines.append(_difference(one))
    return "\n".join(lines)


def _line(line: dict[str, Any]) -> str:
    each = line["what"] in ("image", "request")
    rate = f"{line['rate_picousd'] / (_PICO if each else 1_000_000):g} USD{'' if each else '/M'}"
    return f"  {line['what']:<16} {line['quantity']:>12} x {rate:<12} = {_usd_pico(line['product_picousd'])}"


def _difference(one: dict[str, Any]) -> str:
    if one["replayed_nanousd"] is None:
        return "  no price is known for it now: the ledger's cost cannot be replayed"
    if one["replayed_price_version"] != one["price_version"]:
        why = f"the prices of that time are {one['replayed_price_version']} now"
    else:
        why = "it was reserved, or priced by what rows do not tell: hour-long cache writes, images sent, flex, fast"
    return f"  replayed: {_usd(one['replayed_nanousd'])}; {why}"


def _usd(nanousd: int) -> str:
    return f"{nanousd // _NANO}.{nanousd % _NANO:09d} USD"


def _usd_pico(picousd: int) -> str:
    return f"{picousd // _PICO}.{picousd % _PICO:012d} USD"
