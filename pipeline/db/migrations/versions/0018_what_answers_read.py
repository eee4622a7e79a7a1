"""What every answer reads is found by what it asks for: a chunk in a version, the languages of an org."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

LIVE = sa.text("live_version IS NOT NULL")


def upgrade() -> None:
    """Make the change."""
    op.create_index("ix_version_chunks_chunk_version", "version_chunks", ["chunk_id", "version_id"])
    op.drop_index("ix_version_chunks_chunk_id", table_name="version_chunks")
    columns = ["org_id", "datasource_id", "language"]
    op.create_index("ix_pages_languages", "pages", columns, sqlite_where=LIVE, postgresql_where=LIVE)


def downgrade() -> None:
    """Take it back."""
    op.drop_index("ix_pages_languages", table_name="pages")
    op.create_index("ix_version_chunks_chunk_id", "version_chunks", ["chunk_id"])
    op.drop_index("ix_version_chunks_chunk_version", table_name="version_chunks")
