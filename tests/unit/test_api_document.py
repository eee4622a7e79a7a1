"""The API's document is committed, says what the code does, and leaves nothing unsaid."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from deploy.setup.openapi import DOCUMENT, written

Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The committed document."""
    read: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return read


def operations(document: dict[str, Any]) -> list[Operation]:
    """Every operation, with its path and method."""
    paths = document["paths"].items()
    return [(path, method, operation) for path, methods in paths for method, operation in methods.items()]


def test_the_document_is_what_the_code_says() -> None:
    """`make openapi` writes it."""
    assert DOCUMENT.read_text() == written()


def test_every_operation_says_what_it_does_and_may_answer(document: dict[str, Any]) -> None:
    """A summary, a description, a key where one is needed, and each failure with a body like it."""
    for path, _, operation in operations(document):
        failures = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        shared = {answer.get("$ref", "").rpartition("/")[2] for answer in failures.values()}
        assert operation["summary"]
        assert operation["description"]
        if operation["tags"] != ["operations"]:
            assert operation["security"], path
            assert {"401", "403", "429", "503"} <= failures.keys(), path
            assert shared <= document["components"]["responses"].keys(), path


def test_every_failure_has_an_example_with_its_code(document: dict[str, Any]) -> None:
    """And says when to ask again, where that helps."""
    for name, answer in document["components"]["responses"].items():
        example = answer["content"]["application/json"]["example"]
        assert name == f"Failure{example['statusCode']}"
        assert example["code"]
        assert ("Retry-After" in answer["headers"]) == (name in {"Failure429", "Failure503"})


def test_every_field_and_parameter_is_described(document: dict[str, Any]) -> None:
    """Nobody has to guess."""
    schemas = document["components"]["schemas"]
    silent = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, value in schema.get("properties", {}).items()
        if not value.get("description")
    ]
    silent += [name for name, schema in schemas.items() if not schema.get("description")]
    silent += [
        f"{path} {parameter['name']}"
        for path, _, operation in operations(document)
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and not parameter.get("description")
    ]

    assert silent == []


def test_ids_of_operations_are_unique(document: dict[str, Any]) -> None:
    """Generators of clients name their functions by them."""
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(names) == len(set(names))


def test_every_body_has_an_example_that_fits_it(document: dict[str, Any]) -> None:
    """What is sent, and what comes back."""
    schemas = {"components": document["components"]}
    bodies = {
        f"{method} {path} {place}": content["application/json"]
        for path, method, operation in operations(document)
        for place, content in [
            ("request", operation.get("requestBody", {}).get("content", {})),
            *((status, each.get("content", {})) for status, each in operation["responses"].items() if status < "300"),
        ]
        if "application/json" in content
    }

    unfit = [
        place
        for place, body in bodies.items()
        if not jsonschema_rs.Draft202012Validator(body["schema"] | schemas).is_valid(body["example"])
    ]

    assert len(bodies) > 60
    assert unfit == []
