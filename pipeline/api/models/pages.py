"""Pages of a website."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.model import PageStatus, Reason
from pipeline.services.page_actions import AT_ONCE, PageAction


class PageBody(BaseModel):
    """A page, and where it stands."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    datasource_id: UUID = Field(description="The website it is of.")
    url: str
    canonical_url: str | None
    title: str
    language: str | None
    status: PageStatus
    reason: Reason = Field(description="Why it is, or is not, in the knowledge base.")
    http_status: int | None
    chunks: int
    fetched_at: datetime | None
    changed_at: datetime | None
    next_fetch_at: datetime | None
    version: int | None = Field(description="The number of the text that answers.")
    detail: str | None = Field(description="What was seen, where the reason does not say it all.")
    target: str | None = Field(description="Where it leads.")


class PageVersionBody(BaseModel):
    """One text of a page."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    state: str
    is_live: bool
    title: str
    chunks: int
    embedded: int = Field(description="Passages embedded for it; the others were known.")
    extractor: str = Field(description="What made the text of the page.")
    fetched_at: datetime
    indexed_at: datetime | None


class KeptOutBody(BaseModel):
    """A piece of the page that is none of its text."""

    reason: str = Field(description="Why it was kept out.")
    text: str


class ServedBody(BaseModel):
    """A time in which a text answered."""

    since: datetime
    until: datetime | None = Field(description="Null while it does.")


class SaidBody(BaseModel):
    """One text of a page, and when it answered."""

    number: int
    state: str
    title: str
    fetched_at: datetime
    words: int
    crawl_id: UUID | None = Field(description="The crawl that brought it.")
    served: list[ServedBody] = Field(description="When it answered, the first time first.")


class PageHistoryBody(BaseModel):
    """A page and all that it said, the newest first."""

    page_id: UUID
    url: str
    versions: list[SaidBody]
    moved_from: list[str] = Field(description="Addresses that lead to it now.")


class SaidOnBody(BaseModel):
    """What a page said at a moment."""

    model_config = ConfigDict(from_attributes=True)

    url: str
    moment: datetime
    number: int | None = Field(description="Of the version; null: it did not answer then.")
    title: str
    markdown: str | None
    fetched_at: datetime | None


class PageRollbackBody(BaseModel):
    """Which version answers again."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, le=2**31 - 1, description="A number of the page's history.", examples=[1])


class PageDetailBody(PageBody):
    """A page with its text and all its versions, the newest first."""

    markdown: str | None = Field(description="The extracted text.")
    versions: list[PageVersionBody]
    dropped: list[KeptOutBody] = Field(description="What was kept out of the text.")


class PageFilter(BaseModel):
    """Pages as a list of them is narrowed; at least one field."""

    model_config = ConfigDict(extra="forbid")

    status: PageStatus | None = None
    q: str | None = Field(None, min_length=1, max_length=300, description="In the URL or the title.")
    language: str | None = Field(None, min_length=1, max_length=35, description="Its country is not compared.")

    @model_validator(mode="after")
    def narrows(self) -> Self:
        """Refuse a filter that means every page: that is a mistake more often than a wish."""
        if self.status is None and self.q is None and self.language is None:
            problem = "name at least one of status, q, language"
            raise ValueError(problem)
        return self


class BulkBody(BaseModel):
    """What to do, and to which pages: those named, or those of a filter."""

    model_config = ConfigDict(extra="forbid")

    action: PageAction
    page_ids: list[UUID] | None = Field(None, min_length=1, max_length=AT_ONCE)
    filter: PageFilter | None = None

    @model_validator(mode="after")
    def names_one(self) -> Self:
        """Refuse both, and none."""
        if (self.page_ids is None) == (self.filter is None):
            problem = "give either page_ids or filter"
            raise ValueError(problem)
        return self


class BulkDone(BaseModel):
    """What was done, to how many pages."""

    action: PageAction
    pages: int


class WhyBody(BaseModel):
    """Whether a URL is in the knowledge base, and why."""

    model_config = ConfigDict(from_attributes=True)

    url: str
    is_known: bool = Field(description="Whether it answers now.")
    reason: Reason
    meaning: str = Field(description="The reason in words.")
    detail: str | None = Field(description="What was seen.")
    target: str | None = Field(description="Where it leads.")
    http_status: int | None
    seen_at: datetime | None
    found_on: str | None
    page_id: UUID | None
    known_as: str | None = Field(description="The spelling under which it is known, when that is another.")
