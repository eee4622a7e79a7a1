"""One request as a value, with the type of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypedDict, TypeVar

Answer = TypeVar("Answer")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """What to ask. Every `POST` carries an Idempotency-Key: the one given, else one of its own for each `send`."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    idempotency_key: str | None = None
    seconds: float | None = None
    """How long the answer may take, where that is longer than usual."""

    def keyed(self, idempotency_key: str) -> Call[Answer]:
        """The same under a key of yours: sent again tomorrow at this time it still happens once."""
        return replace(self, idempotency_key=idempotency_key)

    def within(self, seconds: float) -> Call[Answer]:
        """The same, with so many seconds for its answer."""
        return replace(self, seconds=seconds)


class PageOf(TypedDict, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None


def get(path: str, **params: object) -> Call[Any]:
    """A `GET`; parameters that are None stay away."""
    return Call("GET", path, params=_given(params))


def post(path: str, body: Mapping[str, Any] | None = None) -> Call[Any]:
    """A `POST`."""
    return Call("POST", path, json=body)


def given(**fields: object) -> dict[str, Any]:
    """The fields that were given: `...` leaves one to the server's default, None is said."""
    return {name: value for name, value in fields.items() if value is not ...}


def _given(fields: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
