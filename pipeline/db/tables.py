"""Every table, so that migrations and tests see them all."""

from __future__ import annotations

from pipeline.db import (
    bodies,
    chunks,
    crawls,
    datasources,
    frontier,
    hosts,
    orgs,
    outbox,
    page_versions,
    pages,
    robots,
    scenarios,
    schedule_runs,
)
from pipeline.db.base import Base

MODULES = (
    bodies,
    chunks,
    crawls,
    datasources,
    frontier,
    hosts,
    orgs,
    outbox,
    page_versions,
    pages,
    robots,
    scenarios,
    schedule_runs,
)
METADATA = Base.metadata
