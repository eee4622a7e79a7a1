"""What a server answers instead of what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.errors import InvalidInput, TemporaryError


class ServerRefused(InvalidInput):
    """The server refused a request.

    `code` is the stable name of the failure; `details` names each wrong field, or each fact.
    """

    def __init__(
        self, *, status: int, code: str, message: str, details: Sequence[Any] = (), request_id: str | None = None
    ) -> None:
        """Keep what the server said."""
        super().__init__(status=status, code=code, message=message, details=details, request_id=request_id)
        self.status = status
        self.code = code
        self.message = message
        self.details = list(details)
        self.request_id = request_id

    def __str__(self) -> str:
        """The server's own words."""
        return self.message


class ServerUnavailable(TemporaryError):
    """The server did not answer, or not in time."""

    remedy = "Check its address and that it runs; nothing happens twice when you ask again."
