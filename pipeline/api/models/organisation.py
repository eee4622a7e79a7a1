"""An org's settings, their history, and the audit."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field, JsonValue

from pipeline.api.models.partner import FreeJson, Given, Instructions, Language, Name, Website


class SettingsBody(BaseModel):
    """An org's settings as they are in force."""

    id: UUID
    name: str
    website: str | None
    language: str
    integrations: dict[str, JsonValue]
    ai_instructions: str = Field(description="In force: the org's own, else its partner's default.")
    is_inherited: bool = Field(description="Whether `ai_instructions` are the partner's.")
    draft_instructions: str | None = Field(description="Kept, and not in force before they are published.")
    logo: str | None = Field(description="The partner's.")
    app_name: str | None = Field(description="The partner's.")
    limits: dict[str, int] = Field(description="Limits that are this org's own, by name.")
    updated_at: datetime


class SettingsChange(Given):
    """What to set; a field that is not given stays as it is."""

    name: Name = Field("", validate_default=False, examples=["Lumen & Oak"])
    website: Website = None
    language: Language = "en"
    integrations: FreeJson = Field(default_factory=dict)


class DraftBody(Given):
    """Instructions that are not in force yet."""

    ai_instructions: Instructions | None = Field(
        description="null throws the draft away.", examples=["You are Lumen & Oak's agent. Be brief."]
    )


class ChangeBody(BaseModel):
    """One change of a setting."""

    id: UUID
    at: datetime
    key_id: UUID | None = Field(description="The key it was made with.")
    name: str = Field(description="The setting.", examples=["ai_instructions"])
    before: JsonValue
    after: JsonValue


class AuditBody(BaseModel):
    """One thing that was done, or refused."""

    id: UUID
    at: datetime
    key_id: UUID | None = Field(description="The key it was done with; null: an operator at the machine.")
    action: str = Field(examples=["org.create"])
    object_kind: str = Field(examples=["org"])
    object_id: str | None
    result: str = Field(description="`done`, or the code of the failure.", examples=["done"])
    source: str | None = Field(description="The address it came from.", examples=["192.0.2.7"])
    request_id: str | None = Field(description="As in X-Request-ID.")
