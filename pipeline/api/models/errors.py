"""The one form of every failure."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Detail(BaseModel):
    """One thing that is wrong, or one fact about it."""

    model_config = ConfigDict(extra="allow")

    field: str = Field(description="Which field, as a path; or the name of a fact.", examples=["body.url"])
    given: JsonValue = Field(None, description="What was given, cut at 100 characters.", examples=["ftp://x"])
    allowed: str | None = Field(None, description="What is allowed.", examples=["an http or https address"])


class ErrorBody(BaseModel):
    """Every failure, whatever its status, has this body."""

    statusCode: int = Field(description="The HTTP status.", examples=[404])  # noqa: N815 - the contract's spelling
    error: str = Field(description="The status in words.", examples=["Not Found"])
    message: str = Field(
        description="What is wrong and what to do.", examples=["The org has no such crawl (crawl: 0b5f…)."]
    )
    code: str = Field(description="A stable name of the failure, for programs.", examples=["crawl_not_found"])
    details: list[Detail] | None = Field(None, description="Each wrong field, or each fact.")
