"""One row of the ledger: one upstream request that happened, whether it succeeded or not."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

import orjson
from msgspec import Struct

from switchgear.db.names import FLAGS
from switchgear.types import Usage


class UsageRow(Struct, frozen=True):
    """Columns of the table `usage`, in its order. Token classes are as in `types.Usage`.

    request_id: of the client's request; attempts of it (retries, fail-over, hedges) share it. time_us: when the
    upstream request was sent, microseconds since 1970. model: what the client asked for; served_model: what the
    provider was asked for. status: the upstream's, 0 where it sent none. error_class: "" for success; `killed` where
    the process ended with the request open: its tokens are those reserved then. estimated: tokens are our estimate, not
    the upstream's count. unknown_price: billed at the declared cap. first_token_ms, total_ms: since it was sent; None
    where it did not happen. tags: JSON object of strings, "" for none.
    """

    request_id: str
    attempt: int
    time_us: int
    organization: str
    project: str
    user: str
    key: str
    model: str
    served_model: str
    provider: str
    credential: str
    endpoint: str
    status: int
    error_class: str
    stream: bool
    from_cache: bool
    estimated: bool
    unknown_price: bool
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    input_audio_tokens: int
    cached_audio_tokens: int
    output_audio_tokens: int
    images: int
    service_tier: Literal["", "batch", "priority"]
    cost_nanousd: int
    price_version: str
    first_token_ms: float | None
    total_ms: float | None
    tags: str

    @classmethod
    def of(cls, values: Any) -> UsageRow:
        """From a row of the table or of `hotpath._journal.decode`, which may have more columns behind."""
        return cls(*values[: len(COLUMNS)])

    def usage(self) -> Usage:
        """The tokens, as prices take them."""
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cached_tokens=self.cached_tokens,
            cache_write_tokens=self.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens,
            input_audio_tokens=self.input_audio_tokens,
            cached_audio_tokens=self.cached_audio_tokens,
            output_audio_tokens=self.output_audio_tokens,
            images=self.images,
            service_tier=self.service_tier,
            estimated=self.estimated,
        )


COLUMNS: tuple[str, ...] = UsageRow.__struct_fields__

_MOVED = ("request_id", "attempt", "time")
SHOWN = (*_MOVED, *(name for name in COLUMNS if name not in (*_MOVED, "time_us", "tags")), "tags")


def shown(values: Any, zone: tzinfo = UTC) -> dict[str, Any]:
    """A row as it is printed: `time` as ISO 8601 in `zone`, SQLite's booleans as such, tags as a mapping."""
    row = dict(zip(COLUMNS, values, strict=False))
    time_us = row.pop("time_us")
    tags = row.pop("tags")
    for name in FLAGS:
        row[name] = bool(row[name])
    return {
        "request_id": row.pop("request_id"),
        "attempt": row.pop("attempt"),
        "time": iso_time(time_us, zone),
        **row,
        "tags": orjson.loads(tags) if tags else {},
    }


def iso_time(time_us: int, zone: tzinfo = UTC) -> str:
    """Microseconds since 1970 as ISO 8601; UTC is written `Z`."""
    seconds, micros = divmod(time_us, 1_000_000)
    text = datetime.fromtimestamp(seconds, zone).replace(microsecond=micros).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z" if zone is UTC else text
