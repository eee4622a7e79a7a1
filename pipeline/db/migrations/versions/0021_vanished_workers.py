"""How often a worker vanished with a URL, or with a page, in hand: that tells less than a spider that died over it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    for table in ("frontier", "page_versions"):
        op.add_column(table, sa.Column("vanished", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    """Take it back."""
    for table in ("page_versions", "frontier"):
        op.drop_column(table, "vanished")
