"""Briefings are kept for a while, as they were given."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "briefings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_briefings_org_id_orgs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_briefings")),
    )
    op.create_index("ix_briefings_org_id", "briefings", ["org_id"], unique=False)
    op.create_index("ix_briefings_asked_at", "briefings", ["asked_at"], unique=False)


def downgrade() -> None:
    """Take it back."""
    op.drop_index("ix_briefings_asked_at", table_name="briefings")
    op.drop_index("ix_briefings_org_id", table_name="briefings")
    op.drop_table("briefings")
