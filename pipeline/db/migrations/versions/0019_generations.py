"""Generations of vectors, one for each model, and which versions and orgs are whole in each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TAKEN_APART = ["version_id", "chunk_id", "position"]
"""The same place of a version holds one chunk for each model."""

OTHER_MODELS = """
DELETE FROM version_chunks WHERE EXISTS (
  SELECT 1 FROM chunks c, version_chunks other, chunks o
  WHERE c.id = version_chunks.chunk_id AND other.version_id = version_chunks.version_id
    AND other.position = version_chunks.position AND o.id = other.chunk_id AND o.model < c.model)"""


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "generations",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("choice", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_generations")),
    )
    for state in ("serving", "filling"):
        where = sa.text(f"state = '{state}'")
        name = f"ix_generations_{state}"
        op.create_index(name, "generations", ["state"], unique=True, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "version_embeddings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("chunk_count", sa.Integer(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("hints", sa.Integer(), nullable=False),
        sa.Column("hint_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id"], ["orgs.id"], name=op.f("fk_version_embeddings_org_id_orgs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["page_versions.id"],
            name=op.f("fk_version_embeddings_version_id_page_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version_embeddings")),
        sa.UniqueConstraint("version_id", "generation", name=op.f("uq_version_embeddings_version_id_generation")),
    )
    op.create_index("ix_version_embeddings_org", "version_embeddings", ["org_id", "generation"])
    op.create_table(
        "org_embeddings",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["orgs.id"], name=op.f("fk_org_embeddings_org_id_orgs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("generation", "org_id", name=op.f("pk_org_embeddings")),
    )
    op.add_column("page_versions", sa.Column("generation", sa.Integer(), server_default="1", nullable=False))
    _take(TAKEN_APART)


def downgrade() -> None:
    """Take it back; of a place with chunks of several models one stays."""
    op.execute(OTHER_MODELS)
    _take(["version_id", "position"])
    with op.batch_alter_table("page_versions", schema=None) as batch_op:
        batch_op.drop_column("generation")
    op.drop_table("org_embeddings")
    op.drop_table("version_embeddings")
    op.drop_table("generations")


def _take(columns: list[str]) -> None:
    """Make these the key of the chunks of versions."""
    with op.batch_alter_table("version_chunks", schema=None) as batch_op:
        batch_op.drop_constraint("pk_version_chunks", type_="primary")
        batch_op.create_primary_key("pk_version_chunks", columns)
