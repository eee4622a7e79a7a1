"""Runs migrations on the connection that `pipeline.db.revision` hands over."""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlalchemy.types import TypeDecorator

from pipeline.db.tables import METADATA


def in_plain_types(kind: str, item: object, autogenerate: object) -> str | Literal[False]:
    """Write the stored type of a decorated column, so that old migrations need no code of the day."""
    del autogenerate
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
    render_item=in_plain_types,
)
with context.begin_transaction():
    context.run_migrations()
