"""Which attempts of a crawl got it on, and how many spiders died with a URL in hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column("crawls", sa.Column("useful_attempt", sa.Integer(), server_default="0", nullable=False))
    op.add_column("crawls", sa.Column("vanished", sa.Integer(), server_default="0", nullable=False))
    op.add_column("frontier", sa.Column("deaths", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("frontier", schema=None) as batch_op:
        batch_op.drop_column("deaths")
    with op.batch_alter_table("crawls", schema=None) as batch_op:
        batch_op.drop_column("vanished")
        batch_op.drop_column("useful_attempt")
