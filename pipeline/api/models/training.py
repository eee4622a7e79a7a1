"""Training as callers write it and read it."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from pipeline.api.models.moments import Moment
from pipeline.api.models.partner import FreeJson, Given
from pipeline.model import Channel, ScenarioType
from pipeline.services.searching import Kind as FoundKind
from pipeline.services.training_lint import Kind as FindingKind
from pipeline.services.training_text import (
    CONTENT_LIMIT,
    DIRECTORY_LENGTH,
    PRIORITY_LIMIT,
    SEGMENT_LENGTH,
    SEGMENT_LIMIT,
    TITLE_LIMIT,
    TRIGGER_LENGTH,
    TRIGGER_LIMIT,
)

QUERY_LIMIT = 8_000
FILE_LIMIT = 1_000_000
LARGEST_NUMBER = 2**31 - 1

Title = Annotated[
    str,
    Field(
        min_length=1,
        max_length=TITLE_LIMIT,
        pattern=r"\S",
        description="What a reader calls it; of a SCENARIO_SPECIFIC one also its first trigger.",
        examples=["Refund after 30 days"],
    ),
]
Content = Annotated[
    str,
    Field(
        min_length=1,
        max_length=CONTENT_LIMIT,
        pattern=r"\S",
        description="The instruction.",
        examples=["Say that returns end after 30 days, and offer a voucher."],
    ),
]
Trigger = Annotated[str, Field(min_length=1, max_length=TRIGGER_LENGTH, pattern=r"\S")]
Segment = Annotated[str, Field(min_length=1, max_length=SEGMENT_LENGTH, pattern=r"\S")]
DirectoryName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=DIRECTORY_LENGTH,
        pattern=r"\S",
        description="What people call it; an org has each name once.",
        examples=["Returns"],
    ),
]
Triggers = Annotated[
    list[Trigger],
    Field(
        max_length=TRIGGER_LIMIT,
        description="More ways a customer may ask; of SCENARIO_SPECIFIC ones only.",
        examples=[["I want my money back", "can I still return this?"]],
    ),
]


class NewScenarioBody(Given):
    """A scenario as somebody writes it."""

    title: Title
    content: Content
    type: ScenarioType = Field(
        ScenarioType.SCENARIO_SPECIFIC,
        description="BEHAVIORAL applies to every message, SCENARIO_SPECIFIC to those that mean it.",
    )
    triggers: Triggers = Field(default_factory=list)
    is_draft: bool = Field(default=False, description="A draft is stored and never used.")
    directory_id: UUID | None = Field(None, description="The folder it is kept in.")
    restricted_to_channels: list[Channel] = Field(
        default_factory=list, max_length=100, description="Only there; empty: on every channel.", examples=[["email"]]
    )
    restricted_to_segments: list[Segment] = Field(
        default_factory=list,
        max_length=SEGMENT_LIMIT,
        description="Only for contacts in one of these; empty: for everybody. An anonymous contact is in none.",
        examples=[["vip"]],
    )
    start_time: Moment | None = Field(None, description="It is in force from then on, this moment included.")
    end_time: Moment | None = Field(None, description="It is in force until then, this moment not included.")
    priority: int = Field(
        0, ge=-PRIORITY_LIMIT, le=PRIORITY_LIMIT, description="The higher wins between scenarios in conflict."
    )
    metadata: FreeJson = Field(
        default_factory=dict, description="Stored, and returned as it is; at most 20,000 characters of JSON."
    )


class DraftTextBody(Given):
    """Words that wait to be published."""

    title: Title
    content: Content
    triggers: Triggers = Field(default_factory=list)


class ScenarioBody(BaseModel):
    """A scenario: what was published last, and the draft of what comes next."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    content: str
    type: ScenarioType
    triggers: list[str]
    is_draft: bool
    directory_id: UUID | None
    restricted_to_channels: list[Channel]
    restricted_to_segments: list[str]
    start_time: Moment | None
    end_time: Moment | None
    priority: int
    metadata: dict[str, JsonValue]
    draft_title: str | None = Field(description="Null when there is no draft, as the two that follow.")
    draft_content: str | None
    draft_triggers: list[str] | None
    current_version: int | None = Field(description="Null if it was never published.")
    published_at: Moment | None
    created_at: Moment
    updated_at: Moment


class VersionBody(BaseModel):
    """What was published, when, and by whom. It never changes."""

    model_config = ConfigDict(from_attributes=True)

    version: int = Field(validation_alias="number", description="Its number, from 1.")
    type: ScenarioType
    title: str
    content: str
    triggers: list[str]
    published_by: str = Field(description="The key it was published with, or a user of the command line.")
    published_at: Moment = Field(validation_alias="created_at")


class RollbackBody(Given):
    """Which version the draft is filled with."""

    version: int = Field(ge=1, le=LARGEST_NUMBER, description="Its number.", examples=[1])


class NewDirectoryBody(Given):
    """A folder for scenarios."""

    name: DirectoryName


class DirectoryBody(BaseModel):
    """A folder for scenarios."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    created_at: Moment
    updated_at: Moment


class ExportBody(BaseModel):
    """Every scenario as the text of a file."""

    format: Literal["yaml", "csv"] = Field(description="What the text is.")
    text: str = Field(description="The file.")


class ImportBody(Given):
    """A file of scenarios, as `GET /training/export` writes it."""

    format: Literal["yaml", "csv"] = Field("yaml", description="What the text is.")
    text: str = Field(
        max_length=FILE_LIMIT, description="The file.", examples=["- title: Refunds\n  content: Offer a voucher.\n"]
    )
    dry_run: bool = Field(default=False, description="Say what would change, and change nothing.")


class ImportReportBody(BaseModel):
    """What an import did, or would do: titles in the order of the file."""

    model_config = ConfigDict(from_attributes=True)

    created: list[str]
    updated: list[str]
    unchanged: list[str]


class FindingBody(BaseModel):
    """Something in training that is in its own way, for a person to judge."""

    model_config = ConfigDict(from_attributes=True)

    kind: FindingKind
    confidence: float = Field(description="How sure it is, from 0 to 1.")
    scenario_ids: list[UUID] = Field(description="The scenarios it is about.")
    titles: list[str] = Field(description="Their titles.")
    message: str = Field(description="What was seen.")
    evidence: list[str] = Field(description="The texts it was seen in.")
    url: str | None = Field(description="The page that says otherwise, where one does.")


class LintBody(BaseModel):
    """What lint found, surest first."""

    model_config = ConfigDict(from_attributes=True)

    findings: list[FindingBody]
    scenarios: int = Field(description="How many published scenarios were looked at.")
    pages_checked: bool = Field(description="False where the vector store is away: pages were not compared.")
    left_out: list[str] = Field(description="What was not looked at because there is too much of it.", examples=[[]])


class TrainingQuery(Given):
    """What is looked for in training and knowledge."""

    query: str = Field(
        min_length=1, max_length=QUERY_LIMIT, pattern=r"\S", description="Any words.", examples=["late parcels"]
    )
    limit: int = Field(20, ge=1, le=100, description="How many at most.")


class FoundBody(BaseModel):
    """A scenario or a passage near to the query."""

    model_config = ConfigDict(from_attributes=True)

    kind: FoundKind
    id: UUID = Field(description="Of the scenario, or of the passage.")
    title: str
    text: str = Field(description="The instruction, or what the page says.")
    score: float = Field(description="Cosine with the query, at most 1.")
    type: ScenarioType | None = Field(description="Of a scenario; null of a passage.")
    is_draft: bool | None = Field(description="Of a scenario; null of a passage.")
    url: str | None = Field(description="Of a passage; null of a scenario.")
    heading_path: list[str] = Field(description="Headings above a passage.")


class FoundPage(BaseModel):
    """What is nearest in meaning, nearest first."""

    items: list[FoundBody]
    next: None = Field(None, description="Always null: ask for more with `limit`.")
    degraded: list[str] = Field(
        description="Parts that did not answer: without `vector_store` training alone was searched.", examples=[[]]
    )
