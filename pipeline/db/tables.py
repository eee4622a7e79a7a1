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
    scenario_directories,
    scenario_matchers,
    scenarios,
    schedule_runs,
    site_blocks,
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
    scenario_directories,
    scenario_matchers,
    scenarios,
    schedule_runs,
    site_blocks,
)
METADATA = Base.metadata
