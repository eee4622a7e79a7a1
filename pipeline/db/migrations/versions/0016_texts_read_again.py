"""Orgs whose stored pages are being read again, and which texts came of that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column("orgs", sa.Column("rereading_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("page_versions", sa.Column("derived_from", sa.Uuid(), nullable=True))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("page_versions", schema=None) as batch_op:
        batch_op.drop_column("derived_from")
    with op.batch_alter_table("orgs", schema=None) as batch_op:
        batch_op.drop_column("rereading_since")
