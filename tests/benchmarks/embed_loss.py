"""What rounding costs in retrieval: nDCG@10 of bf16 and int8 beside fp32, question by question.

`python -m tests.benchmarks.embed_loss [SET …]` with `SITEWISE_EVAL_DATA` set.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from pipeline.adapters.embedder import open_embedder
from pipeline.adapters.embedder.port import Embedder
from pipeline.model import embedded_text
from pipeline.settings import EmbedSettings
from pipeline.stages.chunk import chunk
from tests.evaluation import datasets
from tests.evaluation.metrics import bootstrap, ndcg

SETS = ("vahelp", "taubank")
PRECISIONS = ("fp32", "bf16", "int8")


def main() -> None:
    """Print mean nDCG@10 in fp32, and the paired difference of the others with its 95 % interval.

    A page scores as its best chunk, by cosine alone. Some minutes of CPU.
    """
    root = datasets.root()
    if root is None:
        sys.exit(f"set {datasets.VARIABLE} to the folder of the question sets")
    with tempfile.TemporaryDirectory() as folder:
        ways = {kind: _open(kind, Path(folder)) for kind in PRECISIONS}
        for name in sys.argv[1:] or SETS:
            print(name, _losses(datasets.read(name, root), ways), flush=True)  # noqa: T201 - the report of a command


def _open(precision: str, cache: Path) -> Embedder:
    values = {"backend": "openvino", "precision": precision}
    return open_embedder(EmbedSettings.model_validate(values), cache_dir=cache)


def _losses(questions: datasets.QuestionSet, ways: dict[str, Embedder]) -> dict[str, str]:
    tokenizer = ways["fp32"].tokenizer
    texts: list[str] = []
    pages: list[int] = []
    for number, page in enumerate(questions.pages):
        for piece in chunk(page.text, title=page.title, tokenizer=tokenizer, max_tokens=254):
            texts.append(embedded_text(piece.heading_path, piece.text))
            pages.append(number)
    scores = {kind: _scores(way, questions, texts, np.array(pages)) for kind, way in ways.items()}
    told = {"fp32": str(bootstrap(scores["fp32"].tolist()))}
    for kind in PRECISIONS[1:]:
        change = bootstrap((scores[kind] - scores["fp32"]).tolist())
        told[f"{kind} - fp32"] = f"{change.mean:+.4f} [{change.low:+.4f}, {change.high:+.4f}]"
    return told


def _scores(
    way: Embedder, questions: datasets.QuestionSet, texts: list[str], pages: np.ndarray[tuple[int], np.dtype[np.int_]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """One nDCG@10 a question."""
    vectors = way.encode_documents(texts)
    found = []
    for question in questions.questions:
        best = np.full(len(questions.pages), -1.0)
        np.maximum.at(best, pages, vectors @ way.encode_query(question.text))
        ranking = [questions.pages[number].id for number in np.argsort(-best, kind="stable")[:10]]
        found.append(ndcg(ranking, questions.gains[question.id]))
    return np.array(found)


if __name__ == "__main__":
    main()
