"""Texts that serve no more are found without looking at those that do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0012"
branch_labels = None
depends_on = None

RETIRED = sa.text("retired_at IS NOT NULL")
UNSERVED = sa.text("state IN ('superseded', 'poison')")


def upgrade() -> None:
    """Make the change."""
    for name, column, where in (
        ("ix_page_versions_retired", "retired_at", RETIRED),
        ("ix_page_versions_unserved", "created_at", UNSERVED),
    ):
        op.create_index(name, "page_versions", [column], unique=False, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Take it back."""
    op.drop_index("ix_page_versions_unserved", table_name="page_versions")
    op.drop_index("ix_page_versions_retired", table_name="page_versions")
