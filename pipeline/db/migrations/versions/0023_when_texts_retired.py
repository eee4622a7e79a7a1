"""When each text stopped serving, of all that did: their time to be kept is counted from there."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SPANS = "FROM served_spans s WHERE s.page_id = page_versions.page_id AND s.version_id = page_versions.id"
SERVES = "EXISTS (SELECT 1 FROM pages p WHERE p.id = page_versions.page_id AND p.live_version = page_versions.id)"


def upgrade() -> None:
    """Make the change."""
    op.execute(
        f"UPDATE page_versions SET retired_at = (SELECT max(s.until) {SPANS})"  # noqa: S608 - constants
        f" WHERE EXISTS (SELECT 1 {SPANS} AND s.until IS NOT NULL) AND NOT {SERVES}"
    )
    op.execute(f"UPDATE page_versions SET retired_at = NULL WHERE retired_at IS NOT NULL AND {SERVES}")  # noqa: S608


def downgrade() -> None:
    """Take it back: the dates are right for the version before, too."""
