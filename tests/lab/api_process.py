"""The HTTP API as it runs: in a process of its own, told by settings alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.owner.environment import environment_of
from pipeline.settings import Settings
from tests.lab.waiting import eventually

END_SECONDS = 60


@contextmanager
def api_process(settings: Settings, log: Path) -> Iterator[str]:
    """The API, and where it answers; `log` gets its lines, as JSON. It must end well when it is told to."""
    said = settings.model_copy(
        update={"log_format": "json", "api": settings.api.model_copy(update={"port": 0, "host": "127.0.0.1"})}
    )
    with log.open("wb") as lines:
        serving = subprocess.Popen([sys.executable, "-m", "pipeline.api"], env=environment_of(said), stderr=lines)

    def address() -> str | None:
        assert serving.poll() is None, log.read_text()
        started = [json.loads(line) for line in log.read_text().splitlines() if "api started" in line]
        return str(started[0]["url"]) if started else None

    try:
        yield eventually(address, what="api started") or ""
        serving.terminate()
        assert serving.wait(END_SECONDS) == 0
    finally:
        serving.kill()
        serving.wait()
