"""Rows of attempts behind a request's first, found by time: few of them, so the index is small and seldom written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    later = sa.text("attempt > 1")
    op.create_index("usage_retries", "usage", ["time_us"], sqlite_where=later, postgresql_where=later)


def downgrade() -> None:
    op.drop_index("usage_retries", "usage")
