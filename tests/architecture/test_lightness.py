"""What stays unloaded: a command line that starts at once, and parts that bring only their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

HEAVY = {
    "celery",
    "openvino",
    "qdrant_client",
    "scrapy",
    "sentence_transformers",
    "torch",
    "transformers",
    "twisted.internet",  # structlog looks at the rest of Twisted, which is small
}


@pytest.mark.parametrize(
    "module", ["pipeline.cli", "pipeline.client", "pipeline.bootstrap", "pipeline.settings", "workers"]
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    """`sitewise --help` costs no model runtime, no crawler and no broker client."""
    script = f"import sys, {module}; print('\\n'.join(sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - the module names above

    assert set(loaded.stdout.split()) & HEAVY == set()
