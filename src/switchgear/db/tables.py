"""The ledger's tables.

usage         one row per upstream request, as `accounting.row.UsageRow`. The primary key is where it stood in which
              journal, behind its time: no row can be in it twice, and a range of time is an index scan. On PostgreSQL
              partitioned by month (`usage_2026_01`).
journals      how far each journal is drained; written in the transaction that writes its rows.
usage_hourly  sums by hour (UTC) and names, and
usage_daily   by day; kept in that transaction too.

Times are integer microseconds (`time_us`) or seconds (`start_s`) since 1970, UTC; money is integer nano-dollars.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from switchgear.db.names import DIMENSIONS, FLAGS, SUMMED_MS, SUMS, TOKEN_CLASSES

metadata = MetaData()

_RETRIED = text("attempt > 1")

journals = Table(
    "journals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(32), nullable=False, unique=True),
    Column("segment", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("drained_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # a number is never used again
)

usage = Table(
    "usage",
    metadata,
    Column("request_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    *(Column(name, Text, nullable=False) for name in DIMENSIONS[1:]),
    Column("endpoint", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("error_class", Text, nullable=False),
    *(Column(name, Boolean, nullable=False) for name in FLAGS),
    *(Column(name, BigInteger, nullable=False) for name in TOKEN_CLASSES),
    Column("service_tier", Text, nullable=False),
    Column("cost_nanousd", BigInteger, nullable=False),
    Column("price_version", Text, nullable=False),
    Column("first_token_ms", Double),
    Column("total_ms", Double),
    Column("tags", Text, nullable=False),
    Column("journal", Integer, nullable=False),  # no foreign key: its check would cost as much as the row
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("time_us", "journal", "position"),
    Index("usage_request_id", "request_id"),
    Index("usage_retries", "time_us", sqlite_where=_RETRIED, postgresql_where=_RETRIED),
    postgresql_partition_by="RANGE (time_us)",
)


def _sums(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("start_s", BigInteger, nullable=False),
        *(Column(dimension, Text, nullable=False) for dimension in DIMENSIONS),
        *(Column(total, BigInteger, nullable=False) for total in SUMS),
        *(Column(total, Double, nullable=False) for total in SUMMED_MS),
        PrimaryKeyConstraint("start_s", *DIMENSIONS),
        sqlite_with_rowid=False,
    )


usage_hourly = _sums("usage_hourly")
usage_daily = _sums("usage_daily")
