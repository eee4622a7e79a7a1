"""The API's document, completed: what each operation really answers, limits and examples of failures, every field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from pipeline.api.examples import add_examples

DESCRIPTION = """\
Send `Authorization: Bearer <key>`: a partner key provisions orgs, an org key works inside one org.

**Lists** take `limit` (1 to 100, by default 20) and `cursor`, and answer `{"items": […], "next": "…" or null}`.

**Repeating** a `POST` that creates is safe with an `Idempotency-Key`: for 24 hours the same request gets the first
answer, and `Idempotency-Replayed: true`; the same key with another request is 422.

**Failures** have one body, with a stable `code`. An object of another org is 404, as one that is not there.

**Limits**: a body is at most 1 MiB. Rates and quotas are settings, and may be an org's own; answers carry `RateLimit`
and `RateLimit-Policy`, and 429 says in `Retry-After` when to ask again.

**Webhooks** are signed by the Standard Webhooks specification: `webhook-id`, `webhook-timestamp`, `webhook-signature`.

Every answer carries `X-Request-ID`: yours, if you sent one of up to 64 letters, digits, dots, dashes and underscores.
Every path is served under `/v1`, too.
"""

CODES = {
    400: ("invalid_json", "The body is not JSON. Send a JSON object, in UTF-8, with `Content-Type: application/json`."),
    401: ("key_refused", "This API key is not valid (problem: there is none)."),
    403: ("scope_missing", "This API key may not do this (needed: crawl:write)."),
    404: ("datasource_not_found", "The org has no such datasource (datasource: 0b5f…)."),
    409: ("crawl_already_running", "A crawl of this datasource is already running (crawl: 5d2a…)."),
    413: ("body_too_large", "The body is larger than 1048576 bytes. Send less at a time."),
    422: ("invalid_request", "Something is wrong with: body.url. See `details`."),
    429: ("limit_reached", "More was asked for than may be at a time (retry_after: 12)."),
    503: ("database_unavailable", "The database did not answer."),
}

FIELDS = {
    "after": "The value since.",
    "app_name": "What the partner calls the product; null: nothing of its own.",
    "before": "The value until then.",
    "at": "When.",
    "id": "Its id, for good.",
    "created_at": "When it was made.",
    "updated_at": "When it last changed.",
    "name": "What people call it.",
    "title": "What a reader calls it.",
    "content": "The text.",
    "url": "Its address.",
    "status": "How it stands.",
    "website": "The customer's website.",
    "language": "A language code, such as `en`.",
    "integrations": "Stored, and returned as it is.",
    "items": "What was found.",
    "kind": "Of which kind it is.",
    "version": "Its number.",
    "number": "Of the version, counted from 1.",
    "score": "How well it fits; higher is better.",
    "scopes": "What the key may do.",
    "expires_at": "From when on it is refused; null: never.",
    "published_at": "When it came into use; null: never.",
    "fetched_at": "When it was last read.",
    "http_status": "What the website answered.",
    "metadata": "Stored, and returned as it is.",
    "error_message": "What is wrong, in words; null: nothing.",
    "page_limit": "Pages that are kept at most; null: the deployment's own maximum.",
    "crawl_interval_hours": "Hours between crawls by the clock; null: by hand only.",
    "reason": "A stable word for why it is, or is not, in the knowledge base.",
}
"""What a field means wherever its own model does not say more."""

MORE = {"_at": "When; null: not yet.", "_pages": "Pages counted so.", "_id": "Which one."}
"""Likewise, by how the name ends."""

HEADERS = {
    "RateLimit": {"description": "Requests left and seconds until there is one more.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "Requests in a window of so many seconds.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds until it is worth asking again.", "schema": {"type": "integer"}},
    "X-Request-ID": {"description": "Of this request, as logs name it.", "schema": {"type": "string"}},
}
JSON = "application/json"
OPEN = ("/healthz", "/readyz")
NAME_OTHERS = {("post", "/training"), ("get", "/pages/find")}
"""Operations without an id in their path that may find nothing all the same."""

CONFLICTS = {
    ("patch", "/partner/v1/orgs/{org_id}"),
    ("post", "/crawl/{datasource_id}/crawls/{job_id}/approve"),
    ("post", "/crawl/{datasource_id}/crawls/{job_id}/reject"),
    ("post", "/crawl/{datasource_id}/crawls/{job_id}/rollback"),
    ("post", "/org/settings/publish"),
    ("put", "/training/{scenario_id}"),
}
"""What may meet something that is in its way, beside a request of the same Idempotency-Key under way."""


def describe(app: FastAPI) -> None:
    """Let the app serve the completed document; it is made once."""
    plain = app.openapi

    def completed() -> dict[str, Any]:
        is_new = app.openapi_schema is None
        document = plain()
        if is_new:
            _complete(document)
        return document

    app.openapi = completed  # type: ignore[method-assign] # as FastAPI says to


def _complete(document: dict[str, Any]) -> None:
    document["info"]["description"] = DESCRIPTION
    shared = next(operation["responses"] for path, _, operation in _operations(document) if path not in OPEN)
    document["components"] |= {"headers": HEADERS, "responses": _failures(shared)}
    for path, method, operation in _operations(document):
        responses = operation["responses"]
        for status in _impossible(path, method, operation):
            responses.pop(str(status), None)
        for status, response in list(responses.items()):
            if int(status) in CODES and path not in OPEN:
                responses[status] = {"$ref": f"#/components/responses/Failure{status}"}
            else:
                response["headers"] = _headers(int(status), is_open=path in OPEN)
    for schema in document["components"]["schemas"].values():
        schema.setdefault("description", f"{schema.get('title', 'A value')}.".replace("_", " "))
        for name, field in schema.get("properties", {}).items():
            if not field.get("description"):
                field["description"] = _meaning(name)
    add_examples(document)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _impossible(path: str, method: str, operation: dict[str, Any]) -> set[int]:
    """Failures that this operation cannot have."""
    none: set[int] = set()
    if path in OPEN:
        none |= {400, 401, 403, 404, 409, 413, 422, 429}
        return none | ({503} if path == OPEN[0] else set())
    if method == "get":
        none |= {413}
    if "{" not in path and (method, path) not in NAME_OTHERS:
        none |= {404}
    may_be_repeated = any(each["name"].lower() == "idempotency-key" for each in operation.get("parameters", ()))
    if not may_be_repeated and (method, path) not in CONFLICTS:
        none |= {409}
    if not operation.get("parameters") and "requestBody" not in operation:
        none |= {422}
    return none


def _headers(status: int, *, is_open: bool) -> dict[str, Any]:
    """What stands beside the body, by reference."""
    names = ["X-Request-ID", *(() if is_open else ("RateLimit", "RateLimit-Policy"))]
    names += ["Retry-After"] if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE} else []
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _failures(found: Mapping[str, Any]) -> dict[str, Any]:
    """The failures that operations share, each with an example, from those that one of them has."""
    made = {}
    for status, (code, message) in CODES.items():
        body = {"statusCode": status, "error": HTTPStatus(status).phrase, "message": message, "code": code}
        content = {JSON: {**found[str(status)]["content"][JSON], "example": body}}
        made[f"Failure{status}"] = {
            "description": found[str(status)]["description"],
            "headers": _headers(status, is_open=False),
            "content": content,
        }
    made["Failure400"]["description"] = "The body is not JSON. What is no HTTP at all is told so in plain text."
    return made


def _meaning(name: str) -> str:
    if name in FIELDS:
        return FIELDS[name]
    end = next((said for mark, said in MORE.items() if name.endswith(mark)), None)
    return end or f"The {name.replace('_', ' ')}."
