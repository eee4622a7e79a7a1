"""Orgs and keys, as partners see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from pipeline.api.models.moments import Moment
from pipeline.services.free_json import as_kept

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S", description="What people call it.")]


WebAddress = Annotated[str, Field(max_length=2_048, pattern=r"^https?://[^\s]+$")]
Website = Annotated[WebAddress | None, Field(description="Its address.", examples=["https://www.example.com/"])]
Language = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35, description="A language tag.", examples=["en"]
    ),
]
Instructions = Annotated[str, Field(max_length=20_000, description="How its agent answers.")]
ExternalId = Annotated[
    str | None,
    Field(min_length=1, max_length=200, description="How you call it; unique among your orgs.", examples=["cus_42"]),
]


def _kept(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    as_kept(value)
    return value


FreeJson = Annotated[dict[str, JsonValue], AfterValidator(_kept)]
"""An object that is stored and returned as it is."""


class Given(BaseModel):
    """What comes in: a field nobody knows is refused, so that a typo is noticed."""

    model_config = ConfigDict(extra="forbid")


class NewOrgBody(Given):
    """A customer."""

    name: Name = Field(examples=["Lumen & Oak"])
    external_id: ExternalId = None
    website: Website = None
    language: Language = "en"
    ai_instructions: Instructions = Field(
        "", description="How its agent answers; empty: as the partner's default says."
    )
    integrations: FreeJson = Field(default_factory=dict, description="Stored, and returned as it is.")


class OrgChange(Given):
    """What to set; a field that is not given stays as it is."""

    name: Name = Field("", validate_default=False, examples=["Lumen & Oak"])
    external_id: ExternalId = None
    website: Website = None
    language: Language = "en"
    ai_instructions: Instructions = Field("", description="Empty: as the partner's default says. In force at once.")
    integrations: FreeJson = Field(default_factory=dict)


class OrgBody(BaseModel):
    """An org."""

    id: UUID
    name: str
    external_id: str | None
    widget_token: str | None = Field(description="For the widget. Shown when it is made, null afterwards.")
    language: str
    website: str | None
    ai_instructions: str
    integrations: dict[str, JsonValue]
    created_at: datetime
    updated_at: datetime


class ErasureBody(BaseModel):
    """How far the erasure of an org is."""

    id: UUID = Field(description="The org's.")
    status: Literal["erasing", "erased"]
    erased_at: datetime | None = Field(description="When nothing was left; null: not yet.")


class NewKeyBody(Given):
    """A key for an org."""

    name: Name = Field(examples=["production"])
    scopes: list[str] | None = Field(
        None, max_length=50, description="What it may do; without them, everything.", examples=[["crawl:read"]]
    )
    expires_at: Moment | None = Field(None, description="From when on it is refused.")


class NewKeyShown(BaseModel):
    """A new key. This is the only time it is shown."""

    id: UUID
    name: str
    api_key: str = Field(examples=["sw_org_…"])
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None


class KeyBody(BaseModel):
    """A key, without its secret."""

    id: UUID
    name: str
    last_four: str = Field(description="How the key ends.", examples=["x7Qa"])
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Within a minute.")


class PartnerBody(BaseModel):
    """A partner, and what its orgs inherit."""

    id: UUID
    name: str
    logo: str | None
    app_name: str | None
    default_instructions: str
    created_at: datetime
    updated_at: datetime


class PartnerChange(Given):
    """What to set; a field that is not given stays as it is."""

    logo: WebAddress | None = Field(None, description="The address of a picture.")
    app_name: str | None = Field(None, max_length=200, examples=["Oak Desk"])
    default_instructions: str = Field(
        "", max_length=4_000, description="What orgs without instructions of their own answer by."
    )
