"""Settings of where the truth is kept, of how work is handed out, and of what an org may use."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from pipeline.settings.kinds import Group, PositiveSpan, Span, split_list


class DatabaseSettings(Group):
    """Where the truth is kept."""

    url: SecretStr | None = Field(
        None,
        description="SQLAlchemy address, such as postgresql+psycopg://user@host/sitewise; "
        "empty: SQLite in the data directory.",
    )
    pool_size: int = Field(5, ge=1, le=100, description="Connections a process keeps open (PostgreSQL).")
    statement_timeout: PositiveSpan = Field(
        timedelta(seconds=30), description="A statement that runs longer is stopped (PostgreSQL)."
    )
    busy_timeout: Span = Field(timedelta(seconds=30), description="How long a writer waits for another (SQLite).")


class BrokerSettings(Group):
    """Where hints travel. Losing them is harmless."""

    url: SecretStr | None = Field(
        None,
        description="Celery broker, such as redis://host:6379/0 or amqp://host; empty: an embedded one.",
    )
    publish_timeout: PositiveSpan = Field(
        timedelta(seconds=2), description="A hint not taken by then stays in the outbox."
    )


class WorkSettings(Group):
    """How work is shared, kept and taken back."""

    index_lease: PositiveSpan = Field(
        timedelta(seconds=60), description="A worker silent this long has lost its pages."
    )
    index_batch: int = Field(16, ge=1, le=1_000, description="Pages chunked and embedded together.")
    index_processes: int = Field(
        0,
        ge=0,
        le=64,
        description="Index workers of an embedded Sitewise, each with a model of about 300 MB; "
        "0: one for each core, at most 4.",
    )
    attempts: int = Field(
        5,
        ge=1,
        description="Work that failed this often, or ended who did it, is parked as poison; "
        "a worker that vanished with it counts half.",
    )
    tick: PositiveSpan = Field(timedelta(seconds=5), description="How often due and orphaned work is looked for.")
    hint_delays: Annotated[tuple[PositiveSpan, ...], NoDecode, BeforeValidator(split_list)] = Field(
        (timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=60), timedelta(minutes=5)),
        min_length=1,
        description="Waits between hints for the same row, comma-separated; the last one stays.",
    )
    sweep_after: Span = Field(
        timedelta(minutes=5), description="Points of replaced versions are kept this long for running searches."
    )
    keep_history: PositiveSpan = Field(
        timedelta(days=365), description="How long a text that serves no more can be looked up and brought back."
    )
    keep_generation: Span = Field(
        timedelta(days=1),
        description="How long the vectors of the model before are kept, and kept current, once another model answers: "
        "the time in which `sitewise reembed rollback` goes back at once.",
    )
    org_crawls: int = Field(4, ge=0, description="Crawls of one org that run at a time, more wait; 0: no limit.")
    org_pages_per_day: int = Field(
        0,
        ge=0,
        description="Pages of one org that are asked for in a day (UTC); its crawls then pause; 0: no limit.",
    )
    interval_floor_hours: int = Field(24, ge=1, description="Least hours between scheduled crawls.")


class LimitSettings(Group):
    """How much a key or an org may ask for. An org may have limits of its own; 0: no limit."""

    key_requests_per_minute: int = Field(1_200, ge=0, description="Requests of one API key in a minute.")
    org_requests_per_minute: int = Field(2_400, ge=0, description="Requests of one org's keys together in a minute.")
    retrievals_per_minute: int = Field(
        1_200, ge=0, description="Briefings of one org in a minute; each golden question that is asked is one."
    )
    orgs: int = Field(10_000, ge=0, description="Orgs of one partner.")
    datasources: int = Field(100, ge=0, description="Websites of one org.")
    scenarios: int = Field(2_000, ge=0, description="Training scenarios of one org.")
