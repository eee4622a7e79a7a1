"""What the project's files may name, and what they must."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.source import ROOT, files, relative, texts

MACHINE_PATH = re.compile(r"(?<![\w.~<])/(?:root|home|Users|work|mnt)/\w")
LOCKED = re.compile(r"^(\S+==\S+)(?: ; [^\n]*?)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
RECORD = re.compile(r"^\d{4}-[a-z0-9]+(-[a-z0-9]+)*\.md$")
SECTIONS = ("## Context", "## Decision", "## Consequences", "## Alternatives")


def test_no_lock_and_no_configuration_names_an_address() -> None:
    """Where packages come from is the machine's business, never the project's."""
    configuration = {
        path: text
        for path, text in texts().items()
        if path.startswith("requirements/") or path in {"pyproject.toml", "Makefile", ".importlinter", ".ci/run"}
    }

    naming = [path for path, text in configuration.items() if "://" in text.replace("URL=https://…", "")]

    assert len(configuration) > 5
    assert naming == []


def test_every_locked_dependency_has_a_hash() -> None:
    """A lock file is pins and hashes, nothing else."""
    locks = {relative(path): path.read_text() for path in ROOT.glob("requirements/*.txt")}

    rest = {path: LOCKED.sub("", text).strip() for path, text in locks.items()}

    assert len(locks) == 4
    assert rest == dict.fromkeys(locks, "")


def test_no_file_names_a_place_on_someones_machine() -> None:
    """The project runs wherever it is put."""
    ours = {path: text for path, text in texts().items() if not path.startswith("deploy/sample/pages/")}

    naming = [path for path, text in ours.items() if MACHINE_PATH.search(text)]

    assert naming == []


def test_decision_records_are_numbered_and_complete() -> None:
    """Each record has a number of its own, a title, and the four parts a reader looks for."""
    records = [path for path in files() if path.parent == ROOT / "deploy/decisions" and path.name != "README.md"]
    numbers = [path.name[:4] for path in records]

    incomplete = [relative(path) for path in records if not _is_complete(path)]

    assert incomplete == []
    assert len(numbers) == len(set(numbers))


def test_every_recipe_is_explained() -> None:
    """What `make` lists, CONTRIBUTING explains."""
    recipes = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    explained = (ROOT / "CONTRIBUTING.md").read_text()

    unnamed = [recipe for recipe in recipes if f"make {recipe}" not in explained and recipe != "help"]

    assert len(recipes) > 10
    assert unnamed == []


def test_every_link_inside_the_documentation_leads_somewhere() -> None:
    """A relative link names a file that is there."""
    pages = {ROOT / path: text for path, text in texts().items() if path.endswith(".md") and "tests/" not in path}

    broken = [
        f"{relative(page)}: {target}"
        for page, text in pages.items()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]

    assert broken == []


def _is_complete(path: Path) -> bool:
    text = path.read_text()
    return bool(RECORD.match(path.name)) and text.startswith("# ") and all(part in text for part in SECTIONS)
