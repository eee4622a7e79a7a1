"""What stays unloaded: a command line that starts at once, and parts that bring only their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

HEAVY = {
    "celery",
    "openvino",
    "opentelemetry",
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


@pytest.mark.parametrize("module", ["pipeline.api.app", "workers.worker", "workers.tasks", "spiders.run"])
def test_what_is_not_traced_loads_no_tracing(module: str) -> None:
    """The extra `tracing` costs nothing where it is installed and not asked for."""
    script = f"import sys, {module}; print('\\n'.join(sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - the module names above

    assert "opentelemetry.sdk" not in loaded.stdout.split()
