"""Calls for briefings."""

from __future__ import annotations

from typing import Any

from pipeline.client.answers import Briefing
from pipeline.client.call import Call, get, post


def retrieve(message: str, **fields: Any) -> Call[Briefing]:  # noqa: ANN401 - the fields of the API's document
    """What an AI responder is told for a message. Fields as in the API's document."""
    return post("/retrieve", {"message": message, **fields})


def briefing(briefing_id: str) -> Call[Briefing]:
    """A briefing as it was given."""
    return get(f"/retrieve/{briefing_id}")
