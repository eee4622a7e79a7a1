"""What died and why, who works, and whose turn it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    _create_dead_letters()
    _create_workers()
    _create_org_days()
    op.drop_index("ix_orgs_indexed_at", "orgs")
    for turn in ("turn", "crawl_turn"):
        op.add_column("orgs", sa.Column(turn, sa.BigInteger(), nullable=False, server_default="0"))
        op.create_index(f"ix_orgs_{turn}", "orgs", [turn])
    op.create_index("ix_crawls_org_id", "crawls", ["org_id", "status", "lease_until"])
    is_waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_page_versions_waiting",
        "page_versions",
        ["created_at"],
        sqlite_where=is_waiting,
        postgresql_where=is_waiting,
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_index("ix_page_versions_waiting", "page_versions")
    op.drop_index("ix_crawls_org_id", "crawls")
    for turn in ("turn", "crawl_turn"):
        op.drop_index(f"ix_orgs_{turn}", "orgs")
        op.drop_column("orgs", turn)
    op.create_index("ix_orgs_indexed_at", "orgs", ["indexed_at"])
    op.drop_table("org_days")
    op.drop_table("workers")
    op.drop_table("dead_letters")


def _create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("datasource_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("work_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redriven_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name="fk_dead_letters_org_id_orgs", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["datasource_id"],
            ["datasources.id"],
            name="fk_dead_letters_datasource_id_datasources",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
        sa.UniqueConstraint("kind", "subject_id", name="uq_dead_letters_kind_subject_id"),
    )
    op.create_index("ix_dead_letters_org_id", "dead_letters", ["org_id"])
    op.create_index("ix_dead_letters_datasource_id", "dead_letters", ["datasource_id"])


def _create_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("sends_ticks", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("took_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )


def _create_org_days() -> None:
    op.create_table(
        "org_days",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name="fk_org_days_org_id_orgs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("org_id", "day", name="pk_org_days"),
    )
