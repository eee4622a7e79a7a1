"""The same questions to another library: LlamaIndex as it comes, in a Python of its own, over the same chunks."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pipeline.adapters.embedder.sources import find
from pipeline.settings import EmbedSettings, Settings
from tests.benchmarks.retrieve_rows import Shape, parts, words

SECONDS = 1_800
QUESTIONS = 40
QUESTION_WORDS = 10


def measure_peer(python: Path, shape: Shape, *, dimension: int) -> tuple[float, float, float]:
    """Milliseconds of its first answer, and at 50 and 99 % of those after it."""
    command = [str(python), str(Path(__file__).with_name("retrieve_llama_index.py"))]
    model = find(EmbedSettings().model, revision=None, cache_dir=Settings().cache_dir).path
    rng = np.random.default_rng(7)
    questions = [(str(rng.integers(shape.orgs) + 1), words(QUESTION_WORDS, rng)) for _ in range(QUESTIONS)]
    with tempfile.TemporaryDirectory(prefix="sitewise-") as folder:
        given = Path(folder) / "given.npz"
        _write(given, shape, dimension)
        asked = {"packages": _packages(), "model": str(model), "given": str(given), "questions": questions}
        ended = subprocess.run(  # noqa: S603 - our own command
            [*command, json.dumps(asked)], capture_output=True, text=True, timeout=SECONDS, check=True
        )
    told = json.loads(ended.stdout.splitlines()[-1])
    return told["first"], told["p50"], told["p99"]


def _write(path: Path, shape: Shape, dimension: int) -> None:
    """The chunks as arrays: whose each is, its words and its vector."""
    found = list(parts(shape, dimension=dimension))
    orgs = np.concatenate([np.full(len(part.ranks), part.scope.org_id.int) for part in found])
    ranks = np.concatenate([part.ranks for part in found]).astype(np.int16)
    np.savez(path, orgs=orgs, ranks=ranks, dense=np.concatenate([part.dense for part in found]))


def _packages() -> str:
    """Where this Python has its packages: the peer takes the model's library, and nothing else, from there."""
    return next(path for path in sys.path if path.endswith("site-packages"))
