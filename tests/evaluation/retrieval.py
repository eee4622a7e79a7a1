"""Quality of answers: crawls a site with the product, asks it questions, and compares.

Run by `python -m tests.evaluation.retrieval`. Beside the product stand BM25, the embedding model and both fused,
over clean text that no crawler had to find.
A page scores as its best chunk. Differences are paired, with 95 % intervals over questions.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.stages.chunk import chunk
from tests.evaluation import datasets
from tests.evaluation.baselines import Encoder, Piece, Searcher, by_page, fuse
from tests.evaluation.corpus_site import CorpusSite
from tests.evaluation.datasets import QuestionSet
from tests.evaluation.metrics import METRICS, Estimate, Ranking, bootstrap
from tests.evaluation.product import Answers, crawl
from tests.evaluation.report import NOT_RUN, say, warn

CHUNK_TOKENS = 254

FLOORS = {"vahelp": 0.83}
"""The least nDCG@10 of the product: what both halves fused reach on clean text cut without structure.
Lowering one needs a reason in the commit."""

BELOW_FLOOR = 1

Rankings = Mapping[str, Ranking]
"""By question id."""


@dataclass(frozen=True, slots=True)
class Score:
    """One system on one set: each question's value of each metric."""

    system: str
    values: Mapping[str, Sequence[float]]

    def estimate(self, metric: str) -> Estimate:
        """Its mean and interval."""
        return bootstrap(self.values[metric])

    def gain_over(self, other: Score, metric: str) -> Estimate:
        """The mean paired difference to another system."""
        pairs = zip(self.values[metric], other.values[metric], strict=True)
        return bootstrap([mine - theirs for mine, theirs in pairs])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one table a set, and write everything as JSON where `--json` says."""
    options = _parser().parse_args(arguments)
    at = datasets.root()
    if at is None:
        warn(f"not run: {datasets.VARIABLE} does not say where the question sets are")
        return NOT_RUN
    encoder = Encoder()
    report = {}
    status = 0
    for name in options.sets:
        questions = datasets.read(name, at)
        facts: dict[str, object] = {}
        scores = _baselines(questions, encoder)
        if not options.baselines_only and all(page.html for page in questions.pages):
            rankings, facts = _product(questions)
            scores.append(_score("sitewise", rankings, questions))
            status = max(status, judge(name, scores[-1]))
        say(_table(questions, scores))
        report[name] = {"facts": facts, "systems": {score.system: _figures(score) for score in scores}}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.evaluation.retrieval", description=__doc__)
    parser.add_argument("--sets", nargs="+", default=["vahelp"], help="vahelp, taubank, mtrag (mtrag: baselines only)")
    parser.add_argument("--baselines-only", action="store_true", help="leave the product out")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser


def _baselines(questions: QuestionSet, encoder: Encoder) -> list[Score]:
    """BM25, the model and their fusion over chunks of the clean text."""
    tokenizer = encoder.embedder.tokenizer
    pieces = [
        Piece(page.id, one.embedded_text, one.embedded_text)
        for page in questions.pages
        for one in chunk(page.text, title=page.title, tokenizer=tokenizer, max_tokens=CHUNK_TOKENS)
    ]
    searcher = Searcher(pieces, encoder)
    rankings: dict[str, dict[str, Ranking]] = {"bm25, clean text": {}, "model, clean text": {}, "both, clean text": {}}
    for question in questions.questions:
        dense, sparse = searcher.candidates(question.text)
        for name, ranking in zip(rankings, (sparse, dense, fuse([dense, sparse], [1, 1])), strict=True):
            rankings[name][question.id] = by_page(ranking, searcher.pages)
    return [_score(name, found, questions) for name, found in rankings.items()]


def _product(questions: QuestionSet) -> tuple[Rankings, dict[str, object]]:
    """Crawl the set's site, ask every question; pages in order of their best passage, and facts of the run."""
    with tempfile.TemporaryDirectory(prefix="sitewise-") as folder, CorpusSite(questions.pages) as site:
        began = time.perf_counter()
        job = crawl(f"{site.url}/", data_dir=Path(folder), page_limit=len(questions.pages) + 100)
        crawling = time.perf_counter() - began
        with Answers(Path(folder)) as answers:
            began = time.perf_counter()
            rankings = {
                question.id: _pages(answers.ask(question.text), site.page_id) for question in questions.questions
            }
            asking = time.perf_counter() - began
    facts = {
        "job": job,
        "crawl_seconds": crawling,
        "milliseconds_a_question": 1_000 * asking / len(questions.questions),
    }
    say(f"{questions.name}: crawled in {crawling:.0f} s, {facts['milliseconds_a_question']:.0f} ms a question")
    return rankings, facts


def _pages(passages: Sequence[tuple[str, float]], page_of: Callable[[str], str | None]) -> list[str]:
    found = (page_of(url) for url, _ in passages)
    return list(dict.fromkeys(page for page in found if page is not None))


def _score(system: str, rankings: Rankings, questions: QuestionSet) -> Score:
    asked = [question.id for question in questions.questions]
    return Score(
        system,
        {name: [metric(rankings[one], questions.gains[one]) for one in asked] for name, metric in METRICS.items()},
    )


def _table(questions: QuestionSet, scores: Sequence[Score]) -> str:
    """The systems of one set in Markdown, the last compared with the one before it."""
    lines = [
        f"{questions.name}: {len(questions.pages)} pages, {len(questions.questions)} questions",
        "",
        "| system | " + " | ".join(METRICS) + " |",
        "|---|" + "---|" * len(METRICS),
        *(
            f"| {score.system} | " + " | ".join(str(score.estimate(metric)) for metric in METRICS) + " |"
            for score in scores
        ),
        "",
    ]
    ours, reference = scores[-1], scores[-2]
    if ours.system == "sitewise":
        lines += [f"sitewise less {reference.system}, {name}: {ours.gain_over(reference, name)}" for name in METRICS]
    return "\n".join(lines) + "\n"


def judge(name: str, score: Score) -> int:
    """The exit status that a set's floor calls for."""
    reached = score.estimate("ndcg@10").mean
    if reached >= FLOORS.get(name, 0.0):
        return 0
    warn(f"{name}: nDCG@10 {reached:.3f} is below its floor of {FLOORS[name]}")
    return BELOW_FLOOR


def _figures(score: Score) -> dict[str, object]:
    return {metric: asdict(score.estimate(metric)) | {"values": score.values[metric]} for metric in METRICS}


if __name__ == "__main__":
    sys.exit(main())
