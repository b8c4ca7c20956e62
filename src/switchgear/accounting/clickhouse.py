"""The sink `clickhouse`: batches over ClickHouse's HTTP interface.

    ledger: {sinks: [{type: clickhouse, url: "http://127.0.0.1:8123", user: default, password: "${CLICKHOUSE_PASSWORD}",
             options: {database: default, table: switchgear_usage}}]}

A batch is one INSERT in JSONEachRow with `insert_deduplication_token`. The table is made with
`non_replicated_deduplication_window`, so the server takes a token once among the last 10,000; a replicated table has a
window of its own. An answer of 200 is not enough while the server streams it: `wait_end_of_query=1` makes it the last
word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx
import orjson

from switchgear.accounting.row import COLUMNS
from switchgear.config.schema_prices import Sink as SinkSettings
from switchgear.db.names import DIMENSIONS, FLAGS
from switchgear.hotpath._journal import Row

TIMEOUT_S = 30.0
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_TYPES = {
    "attempt": "UInt16",
    "status": "UInt16",
    **dict.fromkeys(FLAGS, "Bool"),
    "first_token_ms": "Nullable(Float64)",
    "total_ms": "Nullable(Float64)",
    "cost_nanousd": "Int64",
    "request_id": "String",
    "tags": "String",
}
_LOW_CARDINALITY = (*DIMENSIONS, "error_class", "service_tier", "price_version")


class ClickHouse:
    """Raises ValueError for settings that cannot be used: another scheme than http(s), names that are none."""

    def __init__(self, settings: SinkSettings):
        parts = urlsplit(settings.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected a url such as http://127.0.0.1:8123")
        if unknown := set(settings.options) - {"database", "table"}:
            raise ValueError(f"expected no options but database and table, got {', '.join(sorted(unknown))}")
        self._database = settings.options.get("database", "default")
        self._table = settings.options.get("table", "switchgear_usage")
        for name in (self._database, self._table):
            if not _NAME.fullmatch(name):
                raise ValueError("expected database and table of letters, digits and '_'")
        headers = {"X-ClickHouse-User": settings.user} if settings.user else {}
        if settings.password is not None:
            headers["X-ClickHouse-Key"] = settings.password.reveal()
        self._client = httpx.AsyncClient(base_url=settings.url, headers=headers, timeout=TIMEOUT_S)

    async def start(self) -> None:
        await self._run(create_table(self._database, self._table))

    async def send(self, rows: Sequence[Row], token: str) -> None:
        lines = b"\n".join(orjson.dumps(dict(zip(COLUMNS, row, strict=False))) for row in rows)
        insert = f"INSERT INTO `{self._database}`.`{self._table}` FORMAT JSONEachRow"
        await self._run(
            insert,
            lines,
            insert_deduplication_token=token,
            insert_deduplicate="1",
            async_insert="0",
            date_time_input_format="best_effort",
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def _run(self, query: str, body: bytes = b"", **settings: str) -> None:
        """Raises httpx.HTTPError when the server was not reached, or answered with an error."""
        parameters = {"query": query, "wait_end_of_query": "1", **settings}
        (await self._client.post("/", params=parameters, content=body)).raise_for_status()


def create_table(database: str, table: str) -> str:
    """The statement that makes the table: by month, ordered by time."""
    columns = ", ".join(f"`{name}` {_type(name)}" for name in COLUMNS)
    return (
        f"CREATE TABLE IF NOT EXISTS `{database}`.`{table}` ({columns}) ENGINE = MergeTree "
        "PARTITION BY toYYYYMM(fromUnixTimestamp64Micro(time_us, 'UTC')) ORDER BY (time_us, request_id, attempt) "
        "SETTINGS non_replicated_deduplication_window = 10000"
    )


def _type(name: str) -> str:
    if name in _LOW_CARDINALITY:
        return "LowCardinality(String)"
    return _TYPES.get(name, "Int64")
