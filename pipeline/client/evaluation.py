"""Calls about golden questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.client.answers import Evaluation, GoldenQuestion
from pipeline.client.call import Call, PageOf, get, post

LONG_SECONDS = 300.0
"""All questions are asked before there is an answer."""


def questions() -> Call[PageOf[GoldenQuestion]]:
    """The stored questions, oldest first."""
    return get("/evaluation/questions")


def add(question: str, **fields: Any) -> Call[GoldenQuestion]:  # noqa: ANN401 - the fields of the API's document
    """Store a question with what a good answer has. Fields as in the API's document."""
    return post("/evaluation/questions", {"question": question, **fields})


def import_all(given: Sequence[Mapping[str, Any]], *, replace: bool = False) -> Call[dict[str, int]]:
    """Store questions, all or none; with `replace` others are removed."""
    return post("/evaluation/questions/import", {"questions": list(given), "replace": replace})


def remove(question_id: str) -> Call[None]:
    """Forget a question."""
    return Call("DELETE", f"/evaluation/questions/{question_id}")


def evaluate(given: Sequence[Mapping[str, Any]] | None = None) -> Call[Evaluation]:
    """Ask the stored questions, or these, and compare with the last time."""
    return post("/evaluation", {"questions": None if given is None else list(given)}).within(LONG_SECONDS)


def history() -> Call[PageOf[dict[str, Any]]]:
    """The last evaluations, oldest first."""
    return get("/evaluation/history")
