"""Orgs that are being erased, texts nobody refers to any more, and crawls that look at a few pages only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CHUNKS = "fk_version_chunks_chunk_id_chunks"


def upgrade() -> None:
    """Make the change."""
    op.add_column("orgs", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("crawls", sa.Column("only_due", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("ix_page_versions_body", "page_versions", ["org_id", "body_sha256"], unique=False)
    _refer_to_chunks(ondelete="CASCADE")


def downgrade() -> None:
    """Take it back."""
    _refer_to_chunks(ondelete=None)
    op.drop_index("ix_page_versions_body", table_name="page_versions")
    with op.batch_alter_table("crawls", schema=None) as batch_op:
        batch_op.drop_column("only_due")
    with op.batch_alter_table("orgs", schema=None) as batch_op:
        batch_op.drop_column("erased_at")


def _refer_to_chunks(*, ondelete: str | None) -> None:
    """A chunk that goes takes its places in versions along, whatever made it go."""
    with op.batch_alter_table("version_chunks", schema=None) as batch_op:
        batch_op.drop_constraint(CHUNKS, type_="foreignkey")
        batch_op.create_foreign_key(CHUNKS, "chunks", ["chunk_id"], ["id"], ondelete=ondelete)
