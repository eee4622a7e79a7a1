"""The same questions to another library: LlamaIndex as it comes, in a Python of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.embedder.sources import find
from pipeline.settings import EmbedSettings, Settings

if TYPE_CHECKING:
    from tests.benchmarks.retrieve_rows import Shape

SECONDS = 1_800
QUESTIONS = 40


def measure_peer(python: Path, shape: Shape, *, dimension: int) -> tuple[float, float, float]:
    """Milliseconds of its first answer, and at 50 and 99 % of those after it."""
    command = [str(python), str(Path(__file__).with_name("retrieve_llama_index.py"))]
    model = find(EmbedSettings().model, revision=None, cache_dir=Settings().cache_dir).path
    size = {"chunks": shape.chunks, "orgs": shape.orgs, "dimension": dimension, "questions": QUESTIONS}
    asked = size | {"packages": _packages(), "model": str(model)}
    ended = subprocess.run(  # noqa: S603 - our own command
        [*command, json.dumps(asked)], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    told = json.loads(ended.stdout.splitlines()[-1])
    return told["first"], told["p50"], told["p99"]


def _packages() -> str:
    """Where this Python has its packages: the peer takes the model's library, and nothing else, from there."""
    return next(path for path in sys.path if path.endswith("site-packages"))
