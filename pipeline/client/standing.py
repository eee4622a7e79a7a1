"""Calls about how an org's work stands, and what died."""

from __future__ import annotations

from typing import Any

from pipeline.client.answers import DeadLetter, Redriven, Rereading, Schedule, Status
from pipeline.client.call import Call, PageOf, get, post


def status() -> Call[Status]:
    """What waits, what runs, what is held, what comes next, what died."""
    return get("/status")


def ready() -> Call[dict[str, Any]]:
    """Whether each part of the deployment answers."""
    return get("/readyz")


def schedules() -> Call[PageOf[Schedule]]:
    """When each website is crawled, oldest website first."""
    return get("/schedules")


def upcoming(*, limit: int = 20) -> Call[PageOf[Schedule]]:
    """What the clock crawls next, the first one first; at most 100."""
    return get("/schedules/next", limit=limit)


def dead_letters(*, cause: str | None = None) -> Call[PageOf[DeadLetter]]:
    """What is not tried again by itself, the latest first."""
    return get("/dead-letters", cause=cause)


def dead_letter(letter_id: str) -> Call[DeadLetter]:
    """One dead letter."""
    return get(f"/dead-letters/{letter_id}")


def redrive(letter_id: str) -> Call[Redriven]:
    """Let this work be tried again."""
    return post(f"/dead-letters/{letter_id}/redrive")


def redrive_all(*, cause: str | None = None) -> Call[Redriven]:
    """Let whatever died be tried again, or what died of one cause; at most 1,000 letters a call."""
    return post("/dead-letters/redrive", {"cause": cause})


def rereading() -> Call[Rereading]:
    """How far reading stored pages again is."""
    return get("/rederive")


def start_rereading() -> Call[Rereading]:
    """Read stored pages again, in the background."""
    return post("/rederive")


def cancel_rereading() -> Call[Rereading]:
    """Read no more of them."""
    return Call("DELETE", "/rederive")
