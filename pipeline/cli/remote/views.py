"""Answers of the HTTP API as the views that commands show."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import NoReturn, TypeVar

from pydantic import TypeAdapter

from pipeline.cli.reach import NotOverServer
from pipeline.client import Client, ServerRefused
from pipeline.client.call import Call

View = TypeVar("View")
Answer = TypeVar("Answer")
NOT_FOUND = 404


def view_of(kind: type[View], answer: object, /, **more: object) -> View:
    """An answer as the command's own services would give it; fields it has not are those in `more`."""
    assert isinstance(answer, dict)  # noqa: S101 - every answer is an object
    assert is_dataclass(kind)  # noqa: S101 - every view is one
    known = {field.name for field in fields(kind)}
    given = {name: value for name, value in (answer | more).items() if name in known}
    return TypeAdapter(kind).validate_python(given)


class Remote:
    """Part of a deployment elsewhere. What it has no route for, it refuses."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> NoReturn:
        raise NotOverServer(needs=name)

    def _sent(self, call: Call[Answer], missing: Exception) -> Answer:
        """What is answered; where there is nothing of this id, the failure that the same command has here."""
        try:
            return self._client.send(call)
        except ServerRefused as refused:
            if refused.status == NOT_FOUND:
                raise missing from refused
            raise
