"""When each page is looked at next, from what, and how far a website's sitemaps are believed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    with op.batch_alter_table("pages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("body_hash", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("changes_seen", sa.Double(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("hours_watched", sa.Double(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("taken_on_trust", sa.Integer(), server_default="0", nullable=False))
        batch_op.create_index("ix_pages_next_fetch", ["datasource_id", "next_fetch_at"], unique=False)
    with op.batch_alter_table("datasources", schema=None) as batch_op:
        for name in ("lastmod_kept", "lastmod_told", "lastmod_broken"):
            batch_op.add_column(sa.Column(name, sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("revisit_weight", sa.Double(), nullable=True))
    with op.batch_alter_table("crawls", schema=None) as batch_op:
        batch_op.add_column(sa.Column("not_due_pages", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("crawls", schema=None) as batch_op:
        batch_op.drop_column("not_due_pages")
    with op.batch_alter_table("datasources", schema=None) as batch_op:
        for name in ("revisit_weight", "lastmod_broken", "lastmod_told", "lastmod_kept"):
            batch_op.drop_column(name)
    with op.batch_alter_table("pages", schema=None) as batch_op:
        batch_op.drop_index("ix_pages_next_fetch")
        for name in ("taken_on_trust", "hours_watched", "changes_seen", "body_hash"):
            batch_op.drop_column(name)
