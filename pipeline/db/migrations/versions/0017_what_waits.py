"""A long queue is looked at by what is asked of it: the next hint, the end of a lease. Statistics are kept fresh."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

WAITING = sa.text("state = 'waiting'")
LEASED = sa.text("lease_until IS NOT NULL")
OFTEN = (
    "autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02"
)
NAMES = "autovacuum_analyze_scale_factor, autovacuum_analyze_threshold, autovacuum_vacuum_scale_factor"


def upgrade() -> None:
    """Make the change."""
    for name, column, where in (
        ("ix_page_versions_hint_at", "hint_at", WAITING),
        ("ix_page_versions_leased", "lease_until", LEASED),
    ):
        op.create_index(name, "page_versions", [column], sqlite_where=where, postgresql_where=where)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE page_versions SET ({OFTEN})")


def downgrade() -> None:
    """Take it back."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE page_versions RESET ({NAMES})")
    op.drop_index("ix_page_versions_leased", table_name="page_versions")
    op.drop_index("ix_page_versions_hint_at", table_name="page_versions")
