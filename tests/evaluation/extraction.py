"""How much of a page's main text is kept, and how little else, beside other extractors.

Run as `python -m tests.evaluation.extraction`; reads the pages under SITEWISE_EVAL_DATA. The networks that are
shipped were trained on these very pages, and would look better here than they are: each page is judged by networks
that saw no page of its website.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.evaluation.report import NOT_RUN, say, warn

BELOW_FLOOR = 1
FLOORS = Path(__file__).with_name("extraction_floors.json")
"""The least that ours reaches, by kind of page. Lowering one needs a reason in the commit."""

Tables = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Figures by set, extractor, and kind of page."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Sample:
    """One page with the text a person would call its main text."""

    kind: str
    url: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Score:
    """What one extractor made of one page: word F1 from 0 to 1, and CPU seconds."""

    kind: str
    f1: float
    seconds: float


FOLDS = 3
FOLD_WEIGHTS = Path(__file__).with_name("folds")
"""For each fold, networks trained without its websites; `tests.evaluation.train_selection` makes them."""


def fold_of(url: str) -> int:
    """Which part of the pages this one belongs to; all pages of one website are in the same."""
    site = ".".join((urlsplit(url).hostname or "").split(".")[-2:])
    return int(hashlib.sha256(site.encode()).hexdigest()[:8], 16) % FOLDS


def word_f1(found: str, wanted: str) -> float:
    """Harmonic mean of precision and recall over the words of two texts, each counted as often as it stands there."""
    have, want = (Counter(_WORD.findall(text.lower())) for text in (found, wanted))
    if not have and not want:
        return 1.0
    common = (have & want).total()
    return 2 * common / (have.total() + want.total()) if common else 0.0


def read_pages(root: Path) -> list[Sample]:
    """The labelled pages of seven kinds."""
    with gzip.open(root / "extraction" / "pages.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [_sample(json.loads(line), "kind") for line in lines]


def read_help_site(root: Path) -> list[Sample]:
    """One help site in three layouts: semantic HTML, `div` soup, layout tables."""
    with (root / "eval" / "vahelp" / "shared" / "corpus.jsonl").open(encoding="utf-8") as lines:
        return [_sample(json.loads(line), "style") for line in lines]


def _sample(row: dict[str, object], kind: str) -> Sample:
    name = {"0": "semantic", "1": "divs", "2": "tables"}.get(str(row[kind]), str(row[kind]))
    return Sample(name, str(row["url"]), str(row["html"]), str(row["text"]))


# --- the extractors compared ---------------------------------------------------------------


def ours(html: str, url: str) -> str:
    """This project's, with networks trained without the pages of this website."""
    from pipeline.errors import ExtractionFailed  # noqa: PLC0415 - each child imports only what it runs
    from pipeline.stages.extract import extract  # noqa: PLC0415 - as above

    try:
        weights = FOLD_WEIGHTS / f"{fold_of(url)}.npz"
        return extract(html.encode("utf-8", "replace"), url=url, weights=weights).markdown
    except ExtractionFailed:
        return ""


def trafilatura(html: str, url: str, *, recall: bool = False, precision: bool = False) -> str:
    """Trafilatura as a user would call it."""
    import trafilatura as library  # noqa: PLC0415 - as above

    return library.extract(html, url=url, favor_recall=recall, favor_precision=precision) or ""


def resiliparse(html: str, url: str) -> str:
    """Resiliparse's main content mode."""
    from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415 - as above

    del url
    return str(extract_plain_text(html, main_content=True))


def justext(html: str, url: str) -> str:
    """JusText with the stop words of English."""
    import justext as library  # type: ignore[import-untyped]  # noqa: PLC0415 - as above; it has no types

    del url
    paragraphs = library.justext(html.encode("utf-8", "replace"), library.get_stoplist("English"), encoding="utf-8")
    return "\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)


EXTRACTORS: dict[str, Callable[[str, str], str]] = {
    "sitewise": ours,
    "trafilatura": trafilatura,
    "trafilatura recall": partial(trafilatura, recall=True),
    "trafilatura precision": partial(trafilatura, precision=True),
    "resiliparse": resiliparse,
    "justext": justext,
}


def score(name: str, sample: Sample) -> Score:
    """Run one extractor on one page; a page it fails on scores as no text."""
    began = time.process_time()
    try:
        found = EXTRACTORS[name](sample.html, sample.url)
    except (ValueError, TypeError, AttributeError, AssertionError) as error:
        warn(f"{name} failed on {sample.url}: {error!r}")
        found = ""
    return Score(sample.kind, word_f1(found, sample.text), time.process_time() - began)


def evaluate(names: Sequence[str], samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Mean F1 by kind, their mean over kinds, and CPU milliseconds a page, for each extractor."""
    table: dict[str, dict[str, float]] = {}
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the product's parsing children have it
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as children:
        for name in names:
            by_kind: defaultdict[str, list[Score]] = defaultdict(list)
            for one in children.map(partial(score, name), samples, chunksize=8):
                by_kind[one.kind].append(one)
            means = {kind: sum(one.f1 for one in scores) / len(scores) for kind, scores in sorted(by_kind.items())}
            seconds = sum(one.seconds for scores in by_kind.values() for one in scores)
            table[name] = {**means, "mean": sum(means.values()) / len(means), "ms": 1_000 * seconds / len(samples)}
    return table


def lines_of(table: dict[str, dict[str, float]]) -> Iterator[str]:
    """The table for a terminal."""
    columns = list(next(iter(table.values())))
    yield f"{'':22}" + "".join(f"{column[:9]:>10}" for column in columns)
    for name, row in table.items():
        yield f"{name:22}" + "".join(
            f"{row[column]:>10.1f}" if column == "ms" else f"{row[column]:>10.3f}" for column in columns
        )


def digest(sets: Mapping[str, Sequence[Sample]]) -> str:
    """SHA-256 over the pages and their texts: figures of other pages are other figures."""
    lines = (
        json.dumps([title, sample.kind, sample.url, sample.html, sample.text])
        for title, samples in sets.items()
        for sample in samples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def shortfalls(tables: Tables, corpus: str, floors: Mapping[str, Any]) -> list[str]:
    """Where the figures are below what is pinned, or below trafilatura, in words."""
    if corpus != floors["corpus"]:
        return [f"these are not the pages the floors were measured on: {corpus}"]
    found = [
        f"{title}, {kind}: {tables[title]['sitewise'][kind]:.3f} is below its floor of {floor}"
        for title, least in floors["word_f1"].items()
        for kind, floor in least.items()
        if tables[title]["sitewise"][kind] < floor
    ]
    table = tables["pages"]
    peer = max((name for name in table if name.startswith("trafilatura")), key=lambda name: table[name]["mean"])
    for kind, theirs in table[peer].items():
        ahead = floors["ahead_of_trafilatura"]["mean" if kind == "mean" else "kind"]
        if kind != "ms" and table["sitewise"][kind] < theirs + ahead:
            found.append(f"pages, {kind}: {table['sitewise'][kind]:.3f} is not {ahead} above {peer}'s {theirs:.3f}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables, compare ours with its floors; write the figures as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="take every N-th page only")
    parser.add_argument("--only", action="append", choices=list(EXTRACTORS), help="run this extractor; may repeat")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    options = parser.parse_args(arguments)
    root = os.environ.get("SITEWISE_EVAL_DATA")
    if not root:
        warn("SITEWISE_EVAL_DATA is not set: nothing was evaluated")
        return NOT_RUN
    sets = {"pages": read_pages(Path(root)), "help site": read_help_site(Path(root))}
    tables = {
        title: evaluate(options.only or list(EXTRACTORS), samples[:: options.sample]) for title, samples in sets.items()
    }
    for title, table in tables.items():
        say("\n".join((f"\nWord F1, {title}", *lines_of(table))))
    say("\nsitewise: each page judged by networks trained without its website")
    if options.json:
        options.json.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")
    if options.sample != 1 or options.only:
        say("floors: not checked on a part of it")
        return 0
    problems = shortfalls(tables, digest(sets), json.loads(FLOORS.read_text(encoding="utf-8")))
    for problem in problems:
        warn(problem)
    return BELOW_FLOOR if problems else 0


if __name__ == "__main__":
    sys.exit(main())
