"""Failures become answers: each class of error has a status, a stable code and the one error body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from math import ceil
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import JsonValue
from starlette.exceptions import HTTPException

from pipeline import errors
from pipeline.api.models.errors import Detail, ErrorBody
from pipeline.errors import SitewiseError
from pipeline.errors import code_of as code_of  # noqa: PLC0414 - where routes look for it
from pipeline.logs import get_logger

JSON = "application/json"
GIVEN_LIMIT = 100
"""Characters of a wrong value that are repeated."""

RETRY_AFTER_SECONDS = 2
"""How soon to ask again when a part is away and does not say."""

STATUSES: Sequence[tuple[type[SitewiseError], int]] = (
    (errors.KeyRefused, 401),
    (errors.NotAllowed, 403),
    (errors.NotFound, 404),
    (errors.OrgExists, 409),
    (errors.DatasourceExists, 409),
    (errors.CrawlAlreadyRunning, 409),
    (errors.CrawlUnfinished, 409),
    (errors.NothingHeld, 409),
    (errors.NothingToPublish, 409),
    (errors.RequestInFlight, 409),
    (errors.ScenarioChanged, 409),
    (errors.LimitReached, 429),
    (errors.InvalidInput, 422),
    (errors.BrowserMissing, 422),
    (errors.SetupError, 503),
    (errors.TemporaryError, 503),
    (errors.PermanentError, 422),
    (errors.SitewiseError, 500),
)
"""The first class that fits decides."""

BY_STATUS = {
    400: "bad_request",
    401: "key_refused",
    404: "no_such_path",
    405: "method_not_allowed",
    413: "body_too_large",
    500: "internal_error",
}

log = get_logger(__name__)


def status_of(kind: type[SitewiseError]) -> int:
    """The HTTP status of a failure."""
    return next(status for base, status in STATUSES if issubclass(kind, base))


def answer(
    status: int,
    code: str,
    message: str,
    *,
    details: Sequence[Detail] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A failure as it is sent."""
    body = ErrorBody(
        statusCode=status,
        error=HTTPStatus(status).phrase,
        message=_sendable(message),
        code=code,
        details=list(details) if details else None,
    )
    return Response(body.model_dump_json(exclude_none=True), status, dict(headers or {}), JSON)


def of_error(error: SitewiseError) -> Response:
    """A failure of the project's own. What failed inside is told without its facts: they name hosts and files."""
    status = status_of(type(error))
    is_inside = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    told = type(error)() if is_inside else error
    details = None if is_inside else _details(error.facts)
    return answer(status, code_of(type(error)), str(told), details=details, headers=_headers(status, error))


def _details(facts: Mapping[str, object]) -> list[Detail]:
    """The field that is wrong, with what was given and what is allowed; then each other fact."""
    rest = {name: _plain(fact) for name, fact in facts.items() if name not in {"field", "given", "allowed"}}
    field = facts.get("field")
    if field is None:
        return [Detail(field=name, given=_plain(fact)) for name, fact in facts.items()]
    allowed = facts.get("allowed", facts.get("problem"))
    given = next((facts[name] for name in ("given", "pattern", "url") if name in facts), None)
    wrong = Detail(field=str(field), given=_plain(given), allowed=None if allowed is None else str(_plain(allowed)))
    return [wrong, *(Detail(field=name, given=fact) for name, fact in rest.items())]


def listen(app: FastAPI) -> None:
    """Let the app answer every failure in the one form."""
    app.add_exception_handler(SitewiseError, _on_sitewise_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)


def _headers(status: int, error: SitewiseError) -> dict[str, str]:
    if isinstance(error, errors.LimitReached):
        return {"Retry-After": str(max(1, ceil(error.retry_after)))}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": 'Bearer realm="sitewise"'}
    return {}


def _plain(value: object) -> JsonValue:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    text = _sendable(str(value) if isinstance(value, str | UUID) else repr(value))
    return text if len(text) <= GIVEN_LIMIT else text[:GIVEN_LIMIT] + "…"


def _sendable(text: str) -> str:
    """Half of a surrogate pair cannot be sent; it is shown as it would be typed."""
    return text.encode("utf-8", "backslashreplace").decode()


async def _on_sitewise_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SitewiseError)  # noqa: S101 - registered for this class
    failed = of_error(error)
    request.state.code = code_of(type(error))
    if failed.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request failed", problem=str(error))
    return failed


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    problems = error.errors()
    if any(problem["type"] == "json_invalid" or isinstance(problem.get("input"), bytes) for problem in problems):
        request.state.code = "invalid_json"
        told = "The body is not JSON. Send a JSON object, in UTF-8, with `Content-Type: application/json`."
        return answer(400, "invalid_json", told)
    request.state.code = "invalid_request"
    details = [
        Detail(
            field=_sendable(_named(problem["loc"])),
            given=_plain(problem.get("input")),
            allowed=problem["msg"],
        )
        for problem in problems
    ]
    names = ", ".join(dict.fromkeys(detail.field for detail in details))
    return answer(422, "invalid_request", f"Something is wrong with: {names}. See `details`.", details=details)


def _named(where: Sequence[str | int]) -> str:
    """A field as whoever sent it calls it; one of the address or a header with where it stands."""
    return ".".join(map(str, where[1:] if where[0] == "body" and len(where) > 1 else where))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    code = BY_STATUS.get(error.status_code, "http_error")
    request.state.code = code
    told = f"{error.detail}."
    if error.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        told = f"Nothing here answers {request.method} {request.url.path[:GIVEN_LIMIT]}. /docs shows what does."
    return answer(error.status_code, code, told, headers=error.headers)
