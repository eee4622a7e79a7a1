"""How an org's own work stands: schedules, queues, what died, and what is read again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from pipeline.api.models.crawls import Given, JobBody


class ScheduleBody(BaseModel):
    """When a website is crawled."""

    model_config = ConfigDict(from_attributes=True)

    datasource_id: UUID = Field(description="The website.")
    url: str
    display_name: str
    every_hours: int | None = Field(description="Hours between crawls; null: by hand only.")
    is_paused: bool = Field(description="Whether no crawl is started by the clock.")
    next_crawl_at: datetime | None
    is_overdue: bool = Field(description="Its time has come, and no crawl runs yet.")
    last_crawl_completed_at: datetime | None
    running_crawl: UUID | None = Field(description="The crawl that runs now.")


class OwnQueueBody(BaseModel):
    """The org's own work of one kind."""

    model_config = ConfigDict(from_attributes=True)

    name: Literal["crawl", "index"] = Field(description="`crawl`: crawls to begin; `index`: pages to index.")
    waiting: int = Field(description="How much may be taken now, counted up to 10,000.")
    waiting_since: datetime | None = Field(description="Since when the oldest waits.")
    waiting_seconds: float = Field(description="How long that is.")
    is_heard: bool = Field(description="Whether anybody takes such work now.")


class SchedulesBody(BaseModel):
    """The org's websites, by when they are crawled."""

    model_config = ConfigDict(from_attributes=True)

    active: int = Field(description="By the clock.")
    paused: int = Field(description="Not until they are resumed.")
    by_hand: int = Field(description="When somebody says so.")
    overdue: int = Field(description="Their time has come, and no crawl runs yet.")
    next_crawl_at: datetime | None


class StatusBody(BaseModel):
    """How the org's work stands. Nothing of another org's, and no machine, is in it."""

    model_config = ConfigDict(from_attributes=True)

    queues: list[OwnQueueBody] = Field(description="What waits.")
    running: list[JobBody] = Field(description="Crawls that have not ended, oldest first.")
    held: list[JobBody] = Field(description="The first crawls that wait for a decision.")
    schedules: SchedulesBody
    dead_letters: int = Field(description="What is not tried again by itself.")


class DeadLetterBody(BaseModel):
    """Work that died, and is not tried again by itself."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: Literal["page", "crawl", "url"] = Field(description="What died: indexing a page, a crawl, reading a URL.")
    url: str
    cause: str = Field(description="A word for why.", examples=["worker_ended"])
    fingerprint: str = Field(description="The same for problems alike.", examples=["5b1c2e0d9a77"])
    problem: str | None = Field(description="What was said last.")
    attempts: int = Field(description="How often it was tried.")
    deaths: int = Field(description="How often it died.")
    first_seen_at: datetime
    last_seen_at: datetime
    redriven_at: datetime | None
    datasource_id: UUID = Field(description="The website.")
    work_id: UUID = Field(description="The text or the crawl.")
    stands: bool = Field(description="Whether nothing has been done about it, and should be.")


class RedriveBody(Given):
    """Which letters to put back."""

    cause: str | None = Field(
        None, min_length=1, max_length=200, description="Of this cause or fingerprint; null: all.", examples=["poison"]
    )


class RedrivenBody(BaseModel):
    """What was put back."""

    model_config = ConfigDict(from_attributes=True)

    pages: int = Field(description="Texts that wait to be indexed again.")
    crawls: int = Field(description="Websites whose crawl began anew.")
    passed_over: int = Field(description="Letters about what works again, runs already, or is no more.")


class RereadingBody(BaseModel):
    """How far reading stored pages again is. Counts are pages."""

    model_config = ConfigDict(from_attributes=True)

    extractor: str = Field(description="What makes texts now.")
    since: datetime | None = Field(description="Since when it goes on; null: it does not.")
    live: int = Field(description="Pages that answer.")
    outdated: int = Field(description="Their text was made by another extractor.")
    left: int = Field(description="They could not be read again, and stay as they are.")
    derived: int = Field(description="Their text was made anew.")
