"""The API's document as a page to read: plain HTML made from it, without a script, and without asking anybody else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from http import HTTPStatus
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""What a browser may load for this page: nothing."""

Schema = Mapping[str, Any]

STYLE = """
:root { color-scheme: light dark; --text: #1a202c; --soft: #57606a; --line: #d8dee4; --back: #fff; --box: #f6f8fa;
  --mark: #2f6f5b }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --soft: #9198a1; --line: #30363d; --back: #0d1117; --box: #161b22; --mark: #6fbf9f }
}
* { box-sizing: border-box }
html { scroll-padding-top: 1rem }
body { margin: 0; display: grid; grid-template-columns: 17rem minmax(0, 52rem); gap: 2.5rem; color: var(--text);
  background: var(--back); font: 15px/1.5 system-ui, sans-serif }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.25rem 0 2rem 1.25rem; font-size: 13px;
  border-right: 1px solid var(--line) }
nav b { display: block; margin: 1rem 0 .25rem; color: var(--soft); text-transform: capitalize }
nav a { display: block; padding: .1rem .5rem .1rem 0; color: inherit; text-decoration: none }
nav a:hover { color: var(--mark); text-decoration: underline }
main { padding: 1.25rem 1.25rem 6rem }
h1 { margin: 0 } h2 { margin: 3rem 0 0; text-transform: capitalize }
section { margin-top: 1.5rem; padding-top: 1.25rem; border-top: 1px solid var(--line) }
h3 { margin: 0 0 .35rem; font-size: 1.05rem } h4 { margin: 1rem 0 .25rem; font-size: .9rem; color: var(--soft) }
a { color: var(--mark) } p { margin: .5rem 0 }
code, pre { font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", monospace }
code { background: var(--box); border-radius: 4px; padding: .05rem .25rem }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem;
  overflow-x: auto; white-space: pre-wrap }
.call { font: 600 14px/1.6 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere }
.verb { color: var(--mark); margin-right: .5rem }
table { border-collapse: collapse; width: 100%; font-size: 14px }
td { border-top: 1px solid var(--line); padding: .3rem .75rem .3rem 0; vertical-align: top }
td:first-child { width: 12rem; overflow-wrap: anywhere }
td:nth-child(2) { width: 11rem; color: var(--soft); font-size: 13px }
@media (max-width: 60rem) { body { display: block } nav { display: none } }
"""


def render(document: Schema) -> str:
    """The page of an OpenAPI document, complete and self-contained."""
    info, schemas = document["info"], document["components"]["schemas"]
    groups = _groups(document)
    menu = "".join(
        f"<b>{escape(name)}</b>"
        + "".join(f'<a href="#{escape(o["operationId"])}">{escape(o["summary"])}</a>' for _, _, o in operations)
        for name, operations in groups.items()
    )
    calls = "".join(
        f"<h2>{escape(name)}</h2>" + "".join(_operation(*call, document) for call in operations)
        for name, operations in groups.items()
    )
    objects = "".join(_object(name, schema) for name, schema in sorted(schemas.items()))
    title = f"{escape(info['title'])} API"
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{STYLE}</style></head>",
            f'<body><nav><a href="#top">{title}</a><a href="#failures">Failures</a>',
            f'<a href="#objects">Objects</a>{menu}</nav>',
            f'<main id="top"><h1>{title}</h1><p>{_text(info["summary"])}</p>{_paragraphs(info["description"])}',
            f'<p>For machines: <a href="openapi.json">openapi.json</a>, version {escape(info["version"])}.</p>',
            f'<h2 id="failures">Failures</h2>{_failures(document)}{calls}',
            f'<h2 id="objects">Objects</h2>{objects}</main></body></html>',
        ]
    )


def _groups(document: Schema) -> dict[str, list[tuple[str, str, Schema]]]:
    """Method, path and operation of each call, by tag, in the document's order."""
    groups: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return groups


def _operation(method: str, path: str, operation: Schema, document: Schema) -> str:
    """One call: what it does, what it takes, what it answers, and how to make it."""
    schemas = document["components"]["schemas"]
    parts = [
        f'<section id="{escape(operation["operationId"])}"><h3>{escape(operation["summary"])}</h3>',
        f'<div class="call"><span class="verb">{method}</span>{escape(path)}</div>',
        _paragraphs(operation.get("description", "")),
    ]
    if parameters := operation.get("parameters"):
        rows = ((p["name"], p["schema"], p.get("description", ""), p["required"], p["in"]) for p in parameters)
        parts.append("<h4>Takes</h4>" + _table(rows))
    if (body := _body(operation)) is not None:
        parts.append(f"<h4>Body: {_kind(body)}</h4>" + _table(_fields(_resolved(body, schemas))))
    parts.append("<h4>Answers</h4>" + _answers(operation))
    parts.append(f"<pre>{escape(_curl(method, path, operation, schemas))}</pre></section>")
    return "".join(parts)


def _object(name: str, schema: Schema) -> str:
    """What an object holds, or which values a word may have."""
    held = _table(_fields(schema)) if "properties" in schema else f"<p>{_kind(schema)}</p>"
    described = _paragraphs(schema.get("description", ""))
    return f'<section id="object-{escape(name)}"><h3>{_called(name)}</h3>{described}{held}</section>'


def _fields(schema: Schema) -> Iterator[tuple[str, Schema, str, bool, str]]:
    for name, field in schema.get("properties", {}).items():
        yield name, field, field.get("description", ""), name in schema.get("required", ()), ""


def _table(rows: Iterator[tuple[str, Schema, str, bool, str]]) -> str:
    """Fields with their type, whether they are needed, and what they mean."""
    made = []
    for name, schema, meaning, is_needed, place in rows:
        notes = [_kind(schema), *([escape(place)] if place else []), *(["<b>required</b>"] if is_needed else [])]
        if schema.get("default") is not None:
            notes.append(f"default <code>{escape(json.dumps(schema['default']))}</code>")
        made.append(
            f"<tr><td><code>{escape(name)}</code></td><td>{', '.join(notes)}</td><td>{_text(meaning)}</td></tr>"
        )
    return f"<table>{''.join(made)}</table>" if made else "<p>Any fields.</p>"


def _kind(schema: Schema) -> str:
    """A type in words, as HTML; objects of the document are links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#object-{name}">{_called(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return escape(schema.get("format") or schema.get("type") or "anything") + _bounds(schema)


def _called(name: str) -> str:
    """An object's name for people."""
    return re.sub(r"^Page_(\w+)_$", r"List page of \1", escape(name))


def _bounds(schema: Schema) -> str:
    """Numbers between which a value stands, or characters that a text may have."""
    low, high = schema.get("minimum", schema.get("minLength")), schema.get("maximum", schema.get("maxLength"))
    unit = " characters" if "maxLength" in schema or "minLength" in schema else ""
    if high is None:
        return "" if low is None else f", {low:g} or more{unit}"
    return f", {low or 0:g} to {high:,g}{unit}" if low or not unit else f", at most {high:,g}{unit}"


def _answers(operation: Schema) -> str:
    """Each status with what it carries."""
    rows = []
    shared = [status for status, answer in operation["responses"].items() if "$ref" in answer]
    for status, answer in operation["responses"].items():
        if status not in shared:
            told = answer["description"]
            meaning = HTTPStatus(int(status)).phrase if told == "Successful Response" else told
            rows.append(_answer(status, answer, meaning))
    links = ", ".join(f'<a href="#failure-{status}">{status}</a>' for status in shared)
    return f"<table>{''.join(rows)}</table>" + (f"<p>Or a failure: {links}.</p>" if links else "")


def _failures(document: Schema) -> str:
    """The failures that calls share, each once."""
    responses = document["components"]["responses"]
    rows = ((name.removeprefix("Failure"), answer) for name, answer in sorted(responses.items()))
    made = (_answer(status, answer, answer["description"], mark=f' id="failure-{status}"') for status, answer in rows)
    return f"<table>{''.join(made)}</table>"


def _answer(status: str, answer: Schema, meaning: str, *, mark: str = "") -> str:
    """A status, what its body is, and what it means, as a row."""
    content = answer.get("content", {}).get("application/json", {}).get("schema")
    carried = _kind(content) if content else "no body"
    return f"<tr{mark}><td><code>{status}</code></td><td>{carried}</td><td>{_text(meaning)}</td></tr>"


def _curl(method: str, path: str, operation: Schema, schemas: Schema) -> str:
    """The call as a person types it."""
    words = ["curl" if method == "GET" else f"curl --request {method}", f"$SITEWISE_SERVER{path}"]
    if operation.get("security"):
        words.append('--header "Authorization: Bearer $SITEWISE_KEY"')
    if (body := _body(operation)) is not None:
        given = json.dumps(_example(_resolved(body, schemas), schemas), ensure_ascii=False)
        words.append(f"--json '{given}'")
    return " \\\n  ".join([" ".join(words[:2]), *words[2:]])


def _body(operation: Schema) -> Schema | None:
    content = operation.get("requestBody", {}).get("content", {})
    found: Schema | None = content.get("application/json", {}).get("schema")
    return found


def _resolved(schema: Schema, named: Schema) -> Schema:
    """What a reference stands for; of several possibilities, the first."""
    if "$ref" in schema:
        found: Schema = named[schema["$ref"].rpartition("/")[2]]
        return found
    return _resolved(schema["anyOf"][0], named) if "anyOf" in schema else schema


def _example(schema: Schema, schemas: Schema) -> object:
    """A value that the schema allows, with the fields that are needed alone."""
    schema = _resolved(schema, schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        needed = schema.get("required") or list(schema["properties"])[:1]
        return {name: _example(schema["properties"][name], schemas) for name in needed}
    values: dict[str, object] = {
        "integer": schema.get("minimum", 1),
        "boolean": True,
        "array": [],
        "object": {},
        "number": schema.get("minimum", 1),
    }
    return values.get(schema.get("type", ""), "…")


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(part)}</p>" for part in re.split(r"\n\s*\n", text.strip()) if part)


def _text(text: str) -> str:
    """Running text as HTML, with `code` and **strong** as written in docstrings."""
    safe = escape(" ".join(text.split()), quote=False)
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", re.sub(r"`([^`]+)`", r"<code>\1</code>", safe))
