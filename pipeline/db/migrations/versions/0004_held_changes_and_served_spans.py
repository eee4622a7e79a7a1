"""What a crawl holds back until somebody decides, and which text answered when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    _create_held_changes()
    _create_served_spans()


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("served_spans", schema=None) as batch_op:
        batch_op.drop_index("ix_served_spans_page")
    op.drop_table("served_spans")
    with op.batch_alter_table("held_changes", schema=None) as batch_op:
        batch_op.drop_index("ix_held_changes_datasource")
        batch_op.drop_index("ix_held_changes_crawl")
    op.drop_table("held_changes")


def _create_held_changes() -> None:
    op.create_table(
        "held_changes",
        sa.Column("page_id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("datasource_id", sa.Uuid(), nullable=False),
        sa.Column("crawl_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=True),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"], ["pages.id"], name=op.f("fk_held_changes_page_id_pages"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("page_id", name=op.f("pk_held_changes")),
    )
    with op.batch_alter_table("held_changes", schema=None) as batch_op:
        batch_op.create_index("ix_held_changes_crawl", ["crawl_id", "state"], unique=False)
        batch_op.create_index("ix_held_changes_datasource", ["datasource_id", "state"], unique=False)


def _create_served_spans() -> None:
    """What serves now is taken to have served since it was indexed."""
    op.create_table(
        "served_spans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("page_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["page_id"], ["pages.id"], name=op.f("fk_served_spans_page_id_pages"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_served_spans")),
    )
    with op.batch_alter_table("served_spans", schema=None) as batch_op:
        batch_op.create_index("ix_served_spans_page", ["page_id", "since"], unique=False)
    op.execute(
        "INSERT INTO served_spans (id, page_id, version_id, since) "
        "SELECT v.id, p.id, v.id, COALESCE(v.indexed_at, p.updated_at) "
        "FROM pages p JOIN page_versions v ON v.id = p.live_version"
    )
