"""An example of every body in the API's document: what to send is written here, what comes back is put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

SENT: Mapping[str, dict[str, Any]] = {
    "BulkBody": {"action": "exclude", "filter": {"q": "/archive/"}},
    "DatasourceChangeBody": {"page_limit": 500, "exclude_paths": ["/archive/*"]},
    "DraftBody": {"ai_instructions": "You are Lumen & Oak's agent. Be brief and kind."},
    "DraftTextBody": {"title": "Refunds", "content": "First ask for the order number.", "triggers": ["money back"]},
    "NewDatasourceBody": {"url": "https://docs.example.com/", "page_limit": 200, "include_paths": ["/docs/*"]},
    "NewDirectoryBody": {"name": "After the sale"},
    "NewKeyBody": {"name": "production", "scopes": ["search:read"]},
    "NewOrgBody": {"name": "Lumen & Oak", "external_id": "cus_42", "website": "https://www.example.com/"},
    "NewScenarioBody": {
        "title": "The customer wants the money back",
        "content": "First ask for the order number and whether the item is faulty.",
        "triggers": ["How do I get a refund?"],
    },
    "NewWebhookBody": {"url": "https://platform.example/hooks", "events": ["crawl.completed", "crawl.failed"]},
    "OrgChange": {"name": "Lumen & Oak GmbH", "language": "de"},
    "PartnerChange": {"app_name": "Helpdesk", "default_instructions": "Answer like a neighbour."},
    "PreviewBody": {"url": "https://docs.example.com/", "include_paths": ["/docs/*"], "pages": 10},
    "RetrieveBody": {
        "message": "And how long does it take?",
        "history": [{"role": "user", "content": "Do you ship to Norway?"}],
        "channel": "email",
        "top_k": 5,
    },
    "RollbackBody": {"version": 1},
    "SettingsChange": {"language": "de"},
    "TrainingQuery": {"query": "refund"},
    "WebhookChangeBody": {"description": "Of the platform", "events": ["crawl.completed"]},
}
"""What requests may hold, by the name of their schema. Each is taken as it stands."""

WORDS: Mapping[str, str] = {
    "action": "scenario.create",
    "ai_instructions": "You are Lumen & Oak's agent. Be brief and kind.",
    "api_key": "sw_org_…",
    "app_name": "Helpdesk",
    "canonical_url": "https://docs.example.com/returns",
    "content": "First ask for the order number.",
    "default_instructions": "Answer like a neighbour.",
    "display_name": "docs.example.com",
    "exclude_path": "/archive/*",
    "external_id": "cus_42",
    "heading_path": "Returns",
    "include_path": "/docs/*",
    "language": "en",
    "last_four": "k3Qz",
    "markdown": "# Returns\n\nSend an order back within thirty days.",
    "name": "Lumen & Oak",
    "object_kind": "scenario",
    "profile": "You are Lumen & Oak's agent. Be brief and kind.",
    "prompt": "# Who you are\n\nYou are Lumen & Oak's agent. …",
    "reason": "robots",
    "render_js": "never",
    "secret": "whsec_…",
    "sitemap_url": "https://docs.example.com/sitemap.xml",
    "text": "Send an order back within thirty days.",
    "title": "Returns",
    "url": "https://docs.example.com/returns",
    "website": "https://www.example.com/",
    "widget_token": "sw_widget_…",
}
"""What fields hold in answers, where their own model names no example."""

MOMENT, ID = "2026-03-01T09:00:00Z", "6c0f8f0e-3b1c-4a53-9d38-6f0c1d2b7a11"
DEEPEST = 6


def add_examples(document: dict[str, Any]) -> None:
    """Give each body that is sent, and each that comes back, an example."""
    schemas = document["components"]["schemas"]
    for content in _bodies(document):
        schema = content.get("schema", {})
        name = schema.get("$ref", "").rpartition("/")[2]
        content["example"] = SENT[name] if name in SENT else _example(schema, schemas, "", depth=0)


def _bodies(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The JSON of every request and every success."""
    for operations in document["paths"].values():
        for operation in operations.values():
            successes = [answer for status, answer in operation["responses"].items() if status < "300"]
            for holder in [operation.get("requestBody", {}), *successes]:
                if "application/json" in holder.get("content", {}):
                    yield holder["content"]["application/json"]


def _example(schema: Schema, schemas: Mapping[str, Schema], name: str, *, depth: int) -> Any:  # noqa: ANN401 - JSON
    """A value of this schema: what it names itself, else what the field's name suggests."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rpartition("/")[2]], schemas, name, depth=depth + 1)
    if "anyOf" in schema:
        return _of_several(schema["anyOf"], schemas, name, depth=depth)
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        fields = schema.get("properties", {})
        return {field: _example(part, schemas, field, depth=depth + 1) for field, part in fields.items()}
    if kind == "array":
        return [] if depth >= DEEPEST else [_example(schema["items"], schemas, name.rstrip("s"), depth=depth + 1)]
    return _plain(schema, name)


def _of_several(choices: list[Schema], schemas: Mapping[str, Schema], name: str, *, depth: int) -> Any:  # noqa: ANN401 - JSON
    """Of several kinds the first; nothing, where that is allowed and nothing is said of the field."""
    is_optional = any(choice.get("type") == "null" for choice in choices)
    first = next(choice for choice in choices if choice.get("type") != "null")
    is_said = name in WORDS or "$ref" in first or first.get("format") in {"date-time", "uuid"}
    return None if is_optional and (not is_said or depth >= DEEPEST) else _example(first, schemas, name, depth=depth)


def _plain(schema: Schema, name: str) -> Any:  # noqa: ANN401 - JSON
    kind, form = schema.get("type"), schema.get("format")
    if "enum" in schema or "const" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if kind == "string":
        return {"date-time": MOMENT, "uuid": ID}.get(form or "") or WORDS.get(name, "…")
    return {"integer": 1, "number": 0.72, "boolean": False}.get(kind or "")
