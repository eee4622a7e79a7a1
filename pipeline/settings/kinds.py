"""What settings are made of: times, lists, networks, and groups that refuse a typo."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

IPNetwork = IPv4Network | IPv6Network


def split_list(value: object) -> object:
    """Accept a comma-separated list where the environment gives text."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def as_seconds(value: object) -> object:
    """Accept a plain number of seconds where the environment gives text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Span = Annotated[timedelta, Field(ge=timedelta(0)), BeforeValidator(as_seconds)]
"""A time, written in seconds or as an ISO 8601 duration; it may be none."""

PositiveSpan = Annotated[timedelta, Field(gt=timedelta(0)), BeforeValidator(as_seconds)]
"""A time that must be some: a lease of none is over as it begins, a tick of none never rests."""

Networks = Annotated[tuple[IPNetwork, ...], NoDecode, BeforeValidator(split_list)]


class Group(BaseModel):
    """Settings of one subject. A name it does not know is refused: a typo must not pass in silence."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
