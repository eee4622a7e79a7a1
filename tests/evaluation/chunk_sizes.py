"""Compares chunk sizes, overlaps and heading paths on the development sets: `python -m tests.evaluation.chunk_sizes`.

Pages with HTML go through the product's extraction, so that structure counts; the others are cut as they are.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.adapters.embedder.port import Tokenizer
from pipeline.model import Chunk
from pipeline.stages.chunk import MERGE_TOKENS, chunk
from pipeline.stages.extract import extract
from tests.evaluation import datasets
from tests.evaluation.baselines import Encoder, Piece, Searcher, by_page, fuse
from tests.evaluation.datasets import QuestionSet
from tests.evaluation.metrics import bootstrap, ndcg
from tests.evaluation.report import NOT_RUN, say, warn


@dataclass(frozen=True, slots=True)
class Cut:
    """One way of cutting. `path` says which half of the search sees the headings."""

    max_tokens: int = 254
    overlap_tokens: int = 0
    merge: int = MERGE_TOKENS
    path: str = "both"

    def __str__(self) -> str:
        """A row's name."""
        return f"{self.max_tokens} tokens, overlap {self.overlap_tokens}, merge {self.merge}, headings in {self.path}"


SIZES = [Cut(size) for size in (254, 192, 128, 96)]
OVERLAPS = [Cut(size, overlap_tokens=32) for size in (254, 128)]
MERGES = [Cut(merge=merge) for merge in (0, 64, 254)]
PATHS = [Cut(path=path) for path in ("none", "dense", "sparse")]


@dataclass(frozen=True, slots=True)
class Text:
    """A page as it reaches the chunker."""

    id: str
    title: str
    markdown: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table, and write it as JSON where `--json` says."""
    options = _parser().parse_args(arguments)
    at = datasets.root()
    if at is None:
        warn(f"not run: {datasets.VARIABLE} does not say where the question sets are")
        return NOT_RUN
    encoder = Encoder()
    rows = []
    for name in options.sets:
        questions = datasets.read(name, at)
        texts = list(_texts(questions))
        for cut in [*SIZES, *OVERLAPS, *MERGES, *PATHS]:
            row = _measure(questions, texts, cut, encoder)
            rows.append(row)
            say(_line(row))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=["vahelp", "taubank", "mtrag"])
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser


def _texts(questions: QuestionSet) -> Iterator[Text]:
    for page in questions.pages:
        if page.html:
            document = extract(page.html.encode(), url=page.url)
            yield Text(page.id, document.title, document.markdown)
        else:
            yield Text(page.id, page.title, page.text)


def _pieces(texts: Sequence[Text], cut: Cut, tokenizer: Tokenizer) -> Iterator[tuple[Piece, Chunk]]:
    for text in texts:
        for one in chunk(
            text.markdown,
            title=text.title,
            tokenizer=tokenizer,
            max_tokens=cut.max_tokens,
            overlap_tokens=cut.overlap_tokens,
            merge=cut.merge,
        ):
            dense = one.embedded_text if cut.path in ("both", "dense") else one.text
            sparse = one.embedded_text if cut.path in ("both", "sparse") else one.text
            yield Piece(text.id, dense, sparse), one


def _measure(questions: QuestionSet, texts: Sequence[Text], cut: Cut, encoder: Encoder) -> dict[str, object]:
    began = time.perf_counter()
    pieces, chunks = zip(*_pieces(texts, cut, encoder.embedder.tokenizer), strict=True)
    cutting = time.perf_counter() - began
    searcher = Searcher(pieces, encoder)
    scores: dict[str, list[float]] = {"bm25": [], "dense": [], "rrf": []}
    for question in questions.questions:
        dense, sparse = searcher.candidates(question.text)
        gains = questions.gains[question.id]
        for system, ranking in (("bm25", sparse), ("dense", dense), ("rrf", fuse([dense, sparse], [1, 1]))):
            scores[system].append(ndcg(by_page(ranking, searcher.pages), gains))
    return {
        "set": questions.name,
        "cut": asdict(cut),
        "name": str(cut),
        "chunks": len(chunks),
        "mean_tokens": sum(one.tokens for one in chunks) / len(chunks),
        "milliseconds_a_page": 1_000 * cutting / len(texts),
        "ndcg@10": {system: asdict(bootstrap(values)) for system, values in scores.items()},
        "scores": scores,
    }


def _line(row: dict[str, object]) -> str:
    """One row of the table, in Markdown."""
    scores = row["ndcg@10"]
    assert isinstance(scores, dict)
    figures = " | ".join(f"{scores[system]['mean']:.3f}" for system in ("bm25", "dense", "rrf"))
    return f"| {row['set']} | {row['name']} | {row['chunks']} | {row['mean_tokens']:.0f} | {figures} |"


if __name__ == "__main__":
    sys.exit(main())
