"""Reads the question sets under `SITEWISE_EVAL_DATA`: pages, questions, and which pages answer them."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "SITEWISE_EVAL_DATA"


@dataclass(frozen=True, slots=True)
class SourcePage:
    """A page of a set: its clean text, and its HTML where the set has it."""

    id: str
    url: str
    title: str
    text: str
    html: str
    tenant: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the message, and the turns before it."""

    id: str
    text: str
    tenant: str | None


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """A corpus with questions; `gains[question][page]` says how well a page answers."""

    name: str
    pages: tuple[SourcePage, ...]
    questions: tuple[Question, ...]
    gains: Mapping[str, Mapping[str, float]]


def root() -> Path | None:
    """Where the sets are, or None where the environment does not say."""
    place = os.environ.get(VARIABLE)
    return Path(place) if place else None


def read(name: str, at: Path) -> QuestionSet:
    """The development half of a set. Only questions that some page answers are kept."""
    folder = at / "eval" / name
    pages = tuple(
        SourcePage(row["id"], row["url"], row.get("title") or "", row["text"], row.get("html") or "", row.get("tenant"))
        for row in _rows(folder / "shared" / "corpus.jsonl")
    )
    gains: dict[str, dict[str, float]] = defaultdict(dict)
    for line in (folder / "dev" / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question, page, gain = line.split("\t")
        gains[question][page] = float(gain)
    questions = tuple(
        Question(row["id"], row["text"], row.get("tenant"))
        for row in _rows(folder / "dev" / "queries.jsonl")
        if row["id"] in gains
    )
    return QuestionSet(name, pages, questions, dict(gains))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
