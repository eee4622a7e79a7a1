"""What a tick, a claim and a scrape read is found along indexes of its own: nothing reads every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WAITING = sa.text("state = 'waiting'")
HELD = sa.text("held_pages > 0")
SERVES = (
    "EXISTS (SELECT 1 FROM version_chunks v JOIN pages p ON p.live_version = v.version_id WHERE v.chunk_id = chunks.id)"
)


def upgrade() -> None:
    """Make the change."""
    op.add_column("crawls", sa.Column("not_modified_pages", sa.Integer(), server_default="0", nullable=False))
    op.create_index("ix_crawls_completed_at", "crawls", ["completed_at"])
    op.create_index("ix_crawls_held", "crawls", ["org_id"], sqlite_where=HELD, postgresql_where=HELD)
    op.create_index(
        "ix_page_versions_org_waiting",
        "page_versions",
        ["org_id", "attempts", "created_at"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.add_column("chunks", sa.Column("spare", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(f"UPDATE chunks SET spare = {_true()} WHERE NOT {SERVES}")  # noqa: S608 - our own words
    op.create_index(
        "ix_chunks_spare",
        "chunks",
        ["touched_at"],
        sqlite_where=sa.text("spare = 1"),
        postgresql_where=sa.text("spare"),
    )
    op.drop_index("ix_chunks_touched_at", table_name="chunks")


def downgrade() -> None:
    """Take it back."""
    op.create_index("ix_chunks_touched_at", "chunks", ["touched_at"])
    op.drop_index("ix_chunks_spare", table_name="chunks")
    op.drop_column("chunks", "spare")
    op.drop_index("ix_page_versions_org_waiting", table_name="page_versions")
    op.drop_index("ix_crawls_held", table_name="crawls")
    op.drop_index("ix_crawls_completed_at", table_name="crawls")
    op.drop_column("crawls", "not_modified_pages")


def _true() -> str:
    return "1" if op.get_bind().dialect.name == "sqlite" else "true"
