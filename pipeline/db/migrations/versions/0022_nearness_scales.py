"""How near an org's knowledge is to whatever is asked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "nearness_scales",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("usual", sa.Double(), nullable=False),
        sa.Column("apart", sa.Double(), nullable=False),
        sa.Column("alike", sa.Double(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["orgs.id"], name=op.f("fk_nearness_scales_org_id_orgs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "model", name=op.f("pk_nearness_scales")),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("nearness_scales")
