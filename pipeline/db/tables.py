"""Every table, so that migrations and tests see them all."""

from __future__ import annotations

from pipeline.db import (
    bodies,
    briefings,
    chunks,
    crawls,
    datasources,
    dead_letters,
    frontier,
    held_changes,
    hosts,
    org_days,
    orgs,
    outbox,
    page_versions,
    pages,
    robots,
    scenario_directories,
    scenario_matchers,
    scenarios,
    schedule_runs,
    served_spans,
    site_blocks,
    workers,
)
from pipeline.db.base import Base

MODULES = (
    bodies,
    briefings,
    chunks,
    crawls,
    datasources,
    dead_letters,
    frontier,
    held_changes,
    hosts,
    org_days,
    orgs,
    outbox,
    page_versions,
    pages,
    robots,
    scenario_directories,
    scenario_matchers,
    scenarios,
    schedule_runs,
    served_spans,
    site_blocks,
    workers,
)
METADATA = Base.metadata
