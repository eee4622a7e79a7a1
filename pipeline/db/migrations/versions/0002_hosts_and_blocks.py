"""What hosts ask of every crawl, and which blocks of text the pages of a website share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    _create_hosts()
    _create_page_blocks()


def downgrade() -> None:
    """Take it back."""
    _drop_page_blocks()
    _drop_hosts()


def _create_hosts() -> None:
    op.create_table(
        "robots_answers",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_robots_answers")),
    )
    op.create_table(
        "hosts",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("closed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("backoff", sa.Integer(), nullable=False),
        sa.Column("delay_ms", sa.Integer(), nullable=False),
        sa.Column("next_start", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_hosts")),
    )
    op.create_table(
        "host_stakes",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("wants", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("host", "holder", name=op.f("pk_host_stakes")),
    )


def _drop_hosts() -> None:
    for table in ("robots_answers", "host_stakes", "hosts"):
        op.drop_table(table)


def _create_page_blocks() -> None:
    op.create_table(
        "page_blocks",
        sa.Column("page_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.BigInteger(), nullable=False),
        sa.Column("datasource_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"], ["pages.id"], name=op.f("fk_page_blocks_page_id_pages"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("page_id", "fingerprint", name=op.f("pk_page_blocks")),
    )
    with op.batch_alter_table("page_blocks", schema=None) as batch_op:
        batch_op.create_index("ix_page_blocks_fingerprint", ["datasource_id", "fingerprint", "page_id"], unique=False)


def _drop_page_blocks() -> None:
    with op.batch_alter_table("page_blocks", schema=None) as batch_op:
        batch_op.drop_index("ix_page_blocks_fingerprint")

    op.drop_table("page_blocks")
