"""What a test run says about the tests that lacked what they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import VARIABLES

ROOT = Path(__file__).parents[2]
PLUGINS = ("-p", "xdist.plugin", "-p", "tests.conftest")
SUITE = """
import pytest

@pytest.mark.needs("qdrant")
def test_one(): pass

@pytest.mark.needs("qdrant", "postgres")
def test_two(): pass

def test_three(): pass
"""


def _measures(variable: str) -> bool:
    return variable.startswith("COVERAGE_")


def run(folder: Path, *options: str, **variables: str) -> tuple[int, list[str]]:
    """Exit status and output lines of pytest over a suite of three tests, where no server is."""
    (folder / "test_suite.py").write_text(SUITE)
    unwanted = {*VARIABLES.values(), "SITEWISE_REQUIRE_SERVICES"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted and not _measures(name)}
    kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # only what is asked for loads
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), str(folder)]
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, f"--rootdir={folder}", "-p", "no:cacheprovider", *PLUGINS, *options],
        cwd=ROOT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "two processes"])
def test_the_last_line_counts_what_was_not_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    """They are named, not skipped; however many processes tested, each counts once."""
    status, lines = run(tmp_path, *options)

    assert status == 0
    assert lines[-1].startswith("NOT RUN: 2 tests need what is absent here: postgres + qdrant (1), qdrant (1)")
    assert "1 passed" in lines[-2]


def test_where_services_are_required_their_absence_fails(tmp_path: Path) -> None:
    """In CI nothing is left out."""
    status, lines = run(tmp_path, SITEWISE_REQUIRE_SERVICES="1")

    assert status == 1
    assert "2 errors" in lines[-1]


def test_a_complete_run_says_nothing_more(tmp_path: Path) -> None:
    """Pytest's own line is the last."""
    addresses = dict.fromkeys(VARIABLES.values(), "http://127.0.0.1:9")

    status, lines = run(tmp_path, **addresses)

    assert status == 0
    assert "3 passed" in lines[-1]
