"""Golden questions, and how well they are answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from pipeline.api.models.crawls import Given
from pipeline.services.golden_files import EXPECTED_LIMIT, TEXT_LIMIT
from pipeline.services.questions import MESSAGE_LIMIT, TURNS

AT_ONCE = 500
"""Questions in one request."""

Text = Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT, pattern=r"\S")]
Message = Annotated[str, Field(min_length=1, max_length=MESSAGE_LIMIT, pattern=r"\S")]


class NewQuestionBody(Given):
    """A question with what a good answer has: pages, words, a scenario, or that there is none."""

    question: Message = Field(description="What a customer asks.", examples=["Do you ship to Norway?"])
    urls: list[Text] = Field(
        default_factory=list,
        max_length=EXPECTED_LIMIT,
        description="Pages that answer it.",
        examples=[["https://www.example.com/shipping"]],
    )
    texts: list[Text] = Field(
        default_factory=list, max_length=EXPECTED_LIMIT, description="Words that a passage must have."
    )
    scenario: Annotated[str, Field(max_length=TEXT_LIMIT)] | None = Field(
        None, description="The title of the scenario that must fire."
    )
    no_answer: bool = Field(default=False, description="The website must not seem to answer it.")
    before: list[Message] = Field(
        default_factory=list, max_length=TURNS, description="What was said before, the agent last."
    )


class QuestionBody(BaseModel):
    """A stored question."""

    id: UUID
    question: str
    urls: list[str]
    texts: list[str]
    scenario: str | None
    no_answer: bool
    before: list[str]
    created_at: datetime


class QuestionsBody(Given):
    """Questions to store."""

    questions: list[NewQuestionBody] = Field(max_length=AT_ONCE, description="All are stored, or none.")
    replace: bool = Field(default=False, description="Whether stored questions that are not among them are removed.")


class ImportedBody(BaseModel):
    """What storing questions changed."""

    model_config = ConfigDict(from_attributes=True)

    added: int
    changed: int = Field(description="They were there, and were written again.")
    removed: int


class EvaluateBody(Given):
    """What to ask."""

    questions: list[NewQuestionBody] | None = Field(
        None, max_length=AT_ONCE, description="These; null: those that are stored, and the score is kept."
    )


class ScoredBody(BaseModel):
    """How well one question was answered, each figure from 0 to 1; null for what was not asked of it."""

    model_config = ConfigDict(from_attributes=True)

    score: float = Field(description="The mean of what was asked.")
    ndcg: float | None = Field(description="How high the right passages stand.")
    recall: float | None = Field(description="The share of them among the first five.")
    reciprocal_rank: float | None = Field(description="One over the place of the first right one.")
    hit: float | None = Field(description="Whether one is among the first five.")
    scenario: float | None = Field(description="Whether the right scenario fired.")
    refusal: float | None = Field(description="Whether it said that there is no answer.")
    missing: list[str] = Field(description="Pages and words that no passage has.")


class AskedBody(BaseModel):
    """One question of a report."""

    model_config = ConfigDict(from_attributes=True)

    digest: str = Field(description="By which the same question is known again.")
    message: str
    scored: ScoredBody
    found: list[str] = Field(description="The first pages.")
    fired: list[str] = Field(description="Scenarios.")
    is_answerable: bool = Field(description="Whether it seemed to have an answer.")
    before: float | None = Field(description="Its score the last time.")


class ReportBody(BaseModel):
    """An evaluation, beside the last one of what served then."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    score: float
    means: dict[str, float] = Field(description="Of each figure, over the questions it was asked of.")
    questions: list[AskedBody]
    now: float | None = Field(description="The score over the questions that the last one had as well.")
    then: float | None = Field(description="What these scored then.")
    since: datetime | None = Field(description="When that was.")


class PointBody(BaseModel):
    """An evaluation in a row of them."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    score: float
    is_accepted: bool = Field(description="False: what it was of was held.")
    crawl_id: UUID | None = Field(description="The crawl that it was made for.")
