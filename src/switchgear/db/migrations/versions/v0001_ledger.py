"""The ledger, its sums, and the tables of a management API.

A migration is never changed once released: it spells its tables out, and does not ask `db.tables`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

_DIMENSIONS = ("organization", "project", "user", "key", "model", "served_model", "provider", "credential")
_TOKENS = (
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "cached_audio_tokens",
    "output_audio_tokens",
    "images",
)
_SCOPE = ("organization", "project", "user", "key", "model", "provider", "credential")


def upgrade() -> None:
    _ledger()
    _sums("usage_hourly")
    _sums("usage_daily")
    _management()


def downgrade() -> None:
    for table in (
        "price_overrides",
        "budgets",
        "limits",
        "keys",
        "users",
        "projects",
        "organizations",
        "usage_daily",
        "usage_hourly",
        "usage",  # on PostgreSQL its partitions go with it
        "journals",
    ):
        op.drop_table(table)


def _texts(names: tuple[str, ...]) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _numbers(names: tuple[str, ...]) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _ledger() -> None:
    op.create_table(
        "journals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(32), nullable=False, unique=True),
        *_numbers(("segment", "offset", "rows", "drained_us")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "usage",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        *_texts((*_DIMENSIONS, "endpoint")),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("error_class", sa.Text, nullable=False),
        *(
            sa.Column(name, sa.Boolean, nullable=False)
            for name in ("stream", "from_cache", "estimated", "unknown_price")
        ),
        *_numbers(_TOKENS),
        sa.Column("service_tier", sa.Text, nullable=False),
        sa.Column("cost_nanousd", sa.BigInteger, nullable=False),
        sa.Column("price_version", sa.Text, nullable=False),
        sa.Column("first_token_ms", sa.Double),
        sa.Column("total_ms", sa.Double),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("journal", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("time_us", "journal", "position"),
        postgresql_partition_by="RANGE (time_us)",
    )
    op.create_index("usage_request_id", "usage", ["request_id"])


def _sums(name: str) -> None:
    dimensions = ("endpoint", *_DIMENSIONS)
    op.create_table(
        name,
        sa.Column("start_s", sa.BigInteger, nullable=False),
        *_texts(dimensions),
        *_numbers(("requests", "errors", "estimated", *_TOKENS, "cost_nanousd", "first_tokens", "timed")),
        sa.Column("first_token_ms", sa.Double, nullable=False),
        sa.Column("total_ms", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("start_s", *dimensions),
        sqlite_with_rowid=False,
    )


def _changes() -> list[sa.Column[Any]]:
    return [
        *_numbers(("created_us", "changed_us")),
        sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    ]


def _management() -> None:
    op.create_table("organizations", sa.Column("id", sa.Text, primary_key=True), *_changes())
    for name in ("projects", "users"):
        op.create_table(
            name,
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("organization", sa.Text, sa.ForeignKey("organizations.id")),
            *_changes(),
        )
    op.create_table(
        "keys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("project", sa.Text, sa.ForeignKey("projects.id")),
        sa.Column("user", sa.Text, sa.ForeignKey("users.id")),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("expires_us", sa.BigInteger),
        sa.Column("revoked_us", sa.BigInteger),
        *_changes(),
    )
    op.create_table(
        "limits",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text) for name in _SCOPE),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("capacity", sa.Numeric(24, 9), nullable=False),
        sa.Column("window", sa.Text),
        sa.Column("timezone", sa.Text),
        sa.Column("hard", sa.Boolean, nullable=False),
        sa.Column("fail", sa.Text, nullable=False),
        *_changes(),
    )
    op.create_table(
        "budgets",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text) for name in _SCOPE[:4]),
        sa.Column("limit_nanousd", sa.BigInteger, nullable=False),
        *_texts(("window", "timezone", "thresholds")),
        sa.Column("hard", sa.Boolean, nullable=False),
        sa.Column("fail", sa.Text, nullable=False),
        *_changes(),
    )
    op.create_table(
        "price_overrides",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("model", sa.Text, nullable=False, index=True),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("price", sa.Text, nullable=False),
        *_changes(),
    )
