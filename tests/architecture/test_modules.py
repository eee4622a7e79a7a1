"""How modules are named, sized and documented."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.architecture.source import CODE, ROOT, files, modules, relative

WITHOUT_SUBJECT = {"utils", "helpers", "common", "misc", "manager", "handler", "process", "data", "info"}
LINES_MAXIMUM = 500
COME_ALONG = {"coverage", "cryptography", "httpx", "jsonschema-rs", "justext", "packaging"}
"""Of pytest-cov, pyOpenSSL, the Qdrant client, schemathesis, trafilatura, pytest."""
OPTIONAL = {"atheris", "crawlee", "llama-index"}
"""A fuzzer that is used where it is installed; a crawler and a retriever to compare with, elsewhere installed."""
PLACES = {*CODE, ".ci", "requirements"}


def test_no_module_is_named_after_nothing() -> None:
    """A module that needs such a name has no subject yet."""
    names = {relative(path): {path.stem, *path.parent.relative_to(ROOT).parts} for path in modules(*CODE)}

    assert [path for path, parts in names.items() if parts & WITHOUT_SUBJECT] == []


def test_every_module_is_short() -> None:
    """No module is longer than 500 lines."""
    lengths = {relative(path): len(path.read_text().splitlines()) for path in modules(*CODE)}

    assert {path: lines for path, lines in lengths.items() if lines > LINES_MAXIMUM} == {}


def test_every_module_opens_with_what_it_is_for() -> None:
    """Each module's first statement is its docstring."""
    silent = [relative(path) for path in modules(*CODE) if ast.get_docstring(ast.parse(path.read_text())) is None]

    assert [path for path in silent if (ROOT / path).read_text().strip()] == []


def test_every_top_level_folder_has_a_place() -> None:
    """A new folder is first given a layer and a reason."""
    found = {relative(path).split("/")[0] for path in modules(*CODE)}
    everywhere = {relative(path).split("/")[0] for path in _in_folders()}

    assert found <= set(CODE)
    assert everywhere <= PLACES


def test_what_the_product_imports_is_declared() -> None:
    """Every distribution imported by name is in pyproject.toml, not there by luck."""
    extras = [line for extra in _extras().values() for line in extra]

    undeclared = _outside("pipeline", "spiders", "workers") - _declared([*_project()["dependencies"], *extras])

    assert undeclared == set()


def test_what_the_tests_import_is_declared() -> None:
    """What only tests and set-up import is in requirements/development.in."""
    lines = (ROOT / "requirements/development.in").read_text().splitlines()

    undeclared = _outside("tests", "deploy") - _declared(_project()["dependencies"]) - _declared(lines)

    assert undeclared - COME_ALONG - OPTIONAL == set()


def _outside(*folders: str) -> set[str]:
    """Distributions imported in these folders, by their normal names."""
    owners = packages_distributions()
    names = {name for path in modules(*folders) for name in _imports(path.read_text())}
    outside = {name for name in names if name not in sys.stdlib_module_names and name not in CODE}
    return {_normal(owners.get(name, [name])[0]) for name in outside}


def _declared(lines: list[str]) -> set[str]:
    return {_normal(re.split(r"[\[<>=~! #]", line)[0]) for line in lines}


def _imports(source: str) -> set[str]:
    """Top-level names imported anywhere in a module, lazily too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def _in_folders() -> list[Path]:
    return [path for path in files() if "/" in relative(path)]


def _project() -> dict[str, list[str]]:
    project: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _extras() -> dict[str, list[str]]:
    text = (ROOT / "pyproject.toml").read_text()
    extras: dict[str, list[str]] = tomllib.loads(text)["project"]["optional-dependencies"]
    return extras


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
