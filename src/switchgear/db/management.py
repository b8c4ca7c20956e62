"""Tables of what an API may declare besides the configuration file: who there is, what they may use, what it costs.

The columns are those of the configuration's sections (`config.schema_limits`, `config.schema_prices`), so that an entry
of either kind becomes the same struct. `revision` counts changes of a row; a reader that knows the highest it saw
asks for what changed since.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, Numeric, Table, Text

from switchgear.db.tables import metadata

SCOPE = ("organization", "project", "user", "key", "model", "provider", "credential")


def _changes() -> tuple[Column[int], ...]:
    return (
        Column("created_us", BigInteger, nullable=False),
        Column("changed_us", BigInteger, nullable=False),
        Column("revision", BigInteger, nullable=False, index=True),
    )


organizations = Table("organizations", metadata, Column("id", Text, primary_key=True), *_changes())

projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization", Text, ForeignKey("organizations.id")),
    *_changes(),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization", Text, ForeignKey("organizations.id")),
    *_changes(),
)

keys = Table(
    "keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),  # SHA-256; the key itself is stored nowhere
    Column("prefix", Text, nullable=False),
    Column("project", Text, ForeignKey("projects.id")),
    Column("user", Text, ForeignKey("users.id")),
    Column("models", Text, nullable=False),  # JSON list of names and of prefixes ending in *
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
    *_changes(),
)

limits = Table(
    "limits",
    metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, Text) for name in SCOPE),  # all null: every request
    Column("resource", Text, nullable=False),
    Column("capacity", Numeric(24, 9, asdecimal=True), nullable=False),  # cost: USD, to the nano-dollar
    Column("window", Text),
    Column("timezone", Text),
    Column("hard", Boolean, nullable=False),
    Column("fail", Text, nullable=False),
    *_changes(),
)

budgets = Table(
    "budgets",
    metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, Text) for name in SCOPE[:4]),
    Column("limit_nanousd", BigInteger, nullable=False),
    Column("window", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("thresholds", Text, nullable=False),  # JSON list of shares
    Column("hard", Boolean, nullable=False),
    Column("fail", Text, nullable=False),
    *_changes(),
)

price_overrides = Table(
    "price_overrides",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model", Text, nullable=False, index=True),  # provider/model
    Column("since_us", BigInteger, nullable=False),
    Column("price", Text, nullable=False),  # JSON, as an entry of the section `prices`
    *_changes(),
)
