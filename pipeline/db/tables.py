"""Every table, so that migrations and tests see them all."""

from __future__ import annotations

from sqlalchemy.orm import configure_mappers

from pipeline.db import (
    api_keys,
    audit_entries,
    bodies,
    briefings,
    chunks,
    crawls,
    datasources,
    dead_letters,
    evaluations,
    frontier,
    generations,
    golden_questions,
    held_changes,
    hosts,
    idempotent_answers,
    nearness_scales,
    org_days,
    org_setting_changes,
    orgs,
    outbox,
    page_versions,
    pages,
    partners,
    rate_buckets,
    robots,
    scenario_directories,
    scenario_matchers,
    scenarios,
    schedule_runs,
    served_spans,
    site_blocks,
    webhook_deliveries,
    webhook_endpoints,
    workers,
)
from pipeline.db.base import Base

MODULES = (
    api_keys,
    audit_entries,
    bodies,
    briefings,
    chunks,
    crawls,
    datasources,
    dead_letters,
    evaluations,
    frontier,
    generations,
    golden_questions,
    held_changes,
    hosts,
    idempotent_answers,
    nearness_scales,
    org_days,
    org_setting_changes,
    orgs,
    outbox,
    page_versions,
    pages,
    partners,
    rate_buckets,
    robots,
    scenario_directories,
    scenario_matchers,
    scenarios,
    schedule_runs,
    served_spans,
    site_blocks,
    webhook_deliveries,
    webhook_endpoints,
    workers,
)
METADATA = Base.metadata


def load() -> None:
    """Relate all classes now, and not with the first query."""
    configure_mappers()
