"""Partners, API keys, first answers, the audit, limits, and what an org's settings were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    _create_partners()
    _create_api_keys()
    _create_idempotent_answers()
    _create_audit_entries()
    _create_org_setting_changes()
    op.create_table(
        "rate_buckets",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_rate_buckets"),
    )
    op.create_index("ix_rate_buckets_at", "rate_buckets", ["at"])
    _change_orgs()


def downgrade() -> None:
    """Take it back. Orgs of partners go: two of them may have one name."""
    op.execute("DELETE FROM orgs WHERE partner_id IS NOT NULL")
    op.drop_index("ix_orgs_name_alone", table_name="orgs")
    with op.batch_alter_table("orgs", schema=None) as batch_op:
        batch_op.drop_constraint("uq_orgs_partner_id_external_id", type_="unique")
        batch_op.drop_constraint("fk_orgs_partner_id_partners", type_="foreignkey")
        batch_op.create_unique_constraint("uq_orgs_name", ["name"])
        for column in ("partner_id", "external_id", "draft_instructions", "limits"):
            batch_op.drop_column(column)
    for table in (
        "rate_buckets",
        "org_setting_changes",
        "audit_entries",
        "idempotent_answers",
        "api_keys",
        "partners",
    ):
        op.drop_table(table)


def _change_orgs() -> None:
    """A name is one org's only among the orgs of the command line: two customers may be called the same."""
    with op.batch_alter_table("orgs", schema=None) as batch_op:
        batch_op.drop_constraint("uq_orgs_name", type_="unique")
        batch_op.add_column(sa.Column("partner_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("external_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("draft_instructions", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("limits", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.create_foreign_key("fk_orgs_partner_id_partners", "partners", ["partner_id"], ["id"])
        batch_op.create_unique_constraint("uq_orgs_partner_id_external_id", ["partner_id", "external_id"])
    has_no_partner = sa.text("partner_id IS NULL")
    op.create_index(
        "ix_orgs_name_alone",
        "orgs",
        ["name"],
        unique=True,
        sqlite_where=has_no_partner,
        postgresql_where=has_no_partner,
    )


def _create_partners() -> None:
    op.create_table(
        "partners",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("logo", sa.String(), nullable=True),
        sa.Column("app_name", sa.String(), nullable=True),
        sa.Column("default_instructions", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_partners"),
        sa.UniqueConstraint("name", name="uq_partners_name"),
    )


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=True),
        sa.Column("org_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("last_four", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["partner_id"], ["partners.id"], name="fk_api_keys_partner_id_partners", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name="fk_api_keys_org_id_orgs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_index("ix_api_keys_partner_id", "api_keys", ["partner_id"])
    op.create_index("ix_api_keys_org_id", "api_keys", ["org_id"])


def _create_idempotent_answers() -> None:
    op.create_table(
        "idempotent_answers",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name="fk_idempotent_answers_key_id_api_keys", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", "idempotency_key", name="pk_idempotent_answers"),
    )
    op.create_index("ix_idempotent_answers_created_at", "idempotent_answers", ["created_at"])


def _create_audit_entries() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=True),
        sa.Column("partner_id", sa.Uuid(), nullable=True),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=True),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name="fk_audit_entries_org_id_orgs", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["partner_id"], ["partners.id"], name="fk_audit_entries_partner_id_partners", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entries"),
    )
    op.create_index("ix_audit_entries_at", "audit_entries", ["at"])
    op.create_index("ix_audit_entries_partner_id", "audit_entries", ["partner_id"])
    op.create_index("ix_audit_entries_org_id", "audit_entries", ["org_id", "at", "id"])


def _create_org_setting_changes() -> None:
    op.create_table(
        "org_setting_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("change", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name="fk_org_setting_changes_org_id_orgs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_org_setting_changes"),
    )
    op.create_index("ix_org_setting_changes_org_id", "org_setting_changes", ["org_id", "at", "id"])
