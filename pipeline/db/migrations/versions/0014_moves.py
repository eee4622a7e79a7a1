"""Where a website was before it moved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column("datasources", sa.Column("former_urls", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("datasources", sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("datasources", schema=None) as batch_op:
        batch_op.drop_column("moved_at")
        batch_op.drop_column("former_urls")
