"""Vectors are reached through one gateway, and it cannot be called without a tenant."""

from __future__ import annotations

import ast
import inspect

import pytest

from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.remote import RemoteStore
from pipeline.adapters.qdrant.server import ServerStore
from tests.architecture.source import modules, relative

CLIENTS = {"qdrant_client", "qdrant_edge"}
GATEWAY = "pipeline/adapters/qdrant/"
OF_NO_TENANT = {"prepare", "close", "at", "drop"}
"""What touches no point of one org: making a collection, naming another, removing one whole, and letting go of it."""

MAKERS = {"pipeline/adapters/qdrant/opening.py", "pipeline/cli/session.py", "pipeline/owner/owner.py"}
"""Who opens a store, for others to use through the port."""


def imported(source: str) -> set[str]:
    """Every module a source imports, anywhere in it, with its parents."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names | {name.partition(".")[0] for name in names}


def test_nobody_but_the_gateway_imports_the_vector_client() -> None:
    """Not in the product, not lazily, not by name."""
    sources = {relative(path): path.read_text() for path in modules("pipeline", "spiders", "workers", "deploy")}

    elsewhere = {path for path, source in sources.items() if imported(source) & CLIENTS and GATEWAY not in path}
    by_name = {path for path, source in sources.items() if "import_module" in source and "qdrant" in source}

    assert elsewhere == set()
    assert by_name == set()


def test_few_open_a_store_themselves() -> None:
    """Everybody else is given one, typed as the port."""
    classes = ("EdgeStore(", "RemoteStore(", "ServerStore(")
    found = {
        relative(path)
        for path in modules("pipeline", "spiders", "workers")
        if any(f" {name}" in path.read_text() and f"class {name}" not in path.read_text() for name in classes)
    }

    assert found <= MAKERS


@pytest.mark.parametrize("store", [VectorStore, EdgeStore, RemoteStore, ServerStore])
def test_no_point_is_touched_without_a_tenant(store: type) -> None:
    """Every call of every store has to name its scope, and none has a default for it."""
    port = {name for name, _ in inspect.getmembers(VectorStore, inspect.isfunction) if not name.startswith("_")}
    touching = port - OF_NO_TENANT
    scopes = {name: inspect.signature(getattr(store, name)).parameters["scope"] for name in touching}

    assert {"search", "vectors", "upsert", "delete", "scan", "count", "erase"} <= touching
    assert {scope.kind for scope in scopes.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert {scope.default for scope in scopes.values()} == {inspect.Parameter.empty}
