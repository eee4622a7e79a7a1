"""How well a briefing answers a question whose good answer is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import InvalidUrl
from pipeline.model import Briefing
from pipeline.urls import url_key

DEPTH, NEAR = 10, 5
"""Places that count for nDCG and the reciprocal rank, and for recall and a hit."""

DIGITS = 4


@dataclass(frozen=True, slots=True)
class Expected:
    """What a good briefing has: passages of these pages or with these words, this scenario, or no answer."""

    urls: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    scenario: str | None = None
    no_answer: bool = False


@dataclass(frozen=True, slots=True)
class Scored:
    """How well one question was answered, each figure from 0 to 1; None for what was not asked of it.

    `score` is the mean of what was asked: nDCG of the passages, whether the scenario fired, whether it said that there
    is no answer. `missing` are pages and words that no passage has.
    """

    score: float
    ndcg: float | None = None
    recall: float | None = None
    reciprocal_rank: float | None = None
    hit: float | None = None
    scenario: float | None = None
    refusal: float | None = None
    missing: tuple[str, ...] = ()


def score(expected: Expected, briefing: Briefing) -> Scored:
    """Compare a briefing with what is expected. A page ranks as its best passage."""
    pages = list(dict.fromkeys(map(_key, (passage.url for passage in briefing.passages))))
    texts = [_folded(f"{' '.join(passage.heading_path)} {passage.text}") for passage in briefing.passages]
    places = [_place(pages, _key(url)) for url in expected.urls]
    said = [next((at for at, text in enumerate(texts) if _folded(words) in text), None) for words in expected.texts]
    groups = [group for group in (places, said) if group]
    every = [*places, *said]
    ndcg = _mean([_ndcg(group) for group in groups])
    scenario = refusal = None
    if expected.scenario is not None:
        wanted = _folded(expected.scenario)
        scenario = float(any(_folded(fired.title) == wanted for fired in briefing.scenarios))
    if expected.no_answer:
        refusal = float(not briefing.answerable)
    parts = [part for part in (ndcg, scenario, refusal) if part is not None]
    asked = (*expected.urls, *expected.texts)
    best = min((place for place in every if place is not None), default=None)
    return Scored(
        score=_mean(parts) or 0.0,
        ndcg=ndcg,
        recall=_mean([float(place is not None and place < NEAR) for place in every]),
        reciprocal_rank=None if not every else 0.0 if best is None or best >= DEPTH else round(1 / (best + 1), DIGITS),
        hit=None if not every else float(best is not None and best < NEAR),
        scenario=scenario,
        refusal=refusal,
        missing=tuple(one for one, place in zip(asked, every, strict=True) if place is None),
    )


def _ndcg(places: Sequence[int | None]) -> float:
    """Normalised discounted cumulative gain, each target worth the same (Järvelin and Kekäläinen 2002)."""
    found = sum(1 / math.log2(place + 2) for place in places if place is not None and place < DEPTH)
    best = sum(1 / math.log2(place + 2) for place in range(min(len(places), DEPTH)))
    return min(found / best, 1.0)


def _place(pages: Sequence[str], wanted: str) -> int | None:
    return pages.index(wanted) if wanted in pages else None


def _key(url: str) -> str:
    try:
        return url_key(url)
    except InvalidUrl:
        return url


def _folded(text: str) -> str:
    """Without case, and with single spaces: how words are laid out on a page is no difference."""
    return " ".join(text.casefold().split())


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), DIGITS) if values else None
