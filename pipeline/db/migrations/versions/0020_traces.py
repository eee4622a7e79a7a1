"""A crawl, and a hint that has not left, know the trace they belong to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    for table in ("crawls", "outbox"):
        op.add_column(table, sa.Column("traceparent", sa.String(55), nullable=True))


def downgrade() -> None:
    """Take it back."""
    for table in ("outbox", "crawls"):
        op.drop_column(table, "traceparent")
