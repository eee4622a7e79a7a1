"""Moments as callers give them: with a time zone, and within the years that can be counted in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        problem = "beyond the years that can be counted"
        raise ValueError(problem) from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""Such as `2027-01-31T09:00:00Z`."""
