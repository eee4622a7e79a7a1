"""What a page says of itself for machines, compared with each piece of its text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.stages.extract.pieces import Piece
from pipeline.stages.extract.structured import Structured

_WORD = re.compile(r"\w+")
_ARTICLE = re.compile(r"/(?:blogs?|news|articles?|insights|stories|posts?)/(?:[^?#]*/)?[^/?#]{12,}")
_DESCRIPTIONS = ("description", "og:description", "twitter:description")
_MANY_PRODUCTS = 3
"""A page that states more is a list: they are other pages' products."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Claims:
    """A page's title, descriptions and product, as it states them outside its text."""

    title: str = ""
    description: str = ""
    product: str = ""
    is_article: bool = False
    is_product: bool = False

    @classmethod
    def of(cls, title: str, meta: Mapping[str, str], structured: Structured, url: str) -> Self:
        """Gather them; `title` is the whole text of `<title>`. The address of a page may call it an article, too."""
        kind = meta.get("og:type", "").lower()
        products = structured.products if len(structured.products) <= _MANY_PRODUCTS else []
        return cls(
            title=title,
            description=" ".join(meta.get(name, "") for name in _DESCRIPTIONS),
            product=" ".join(" ".join(product.values()) for product in products),
            is_article=structured.is_article or kind == "article" or bool(_ARTICLE.search(url)),
            is_product=bool(structured.products) or "product" in kind,
        )

    def echo(self, pieces: Sequence[Piece]) -> Matrix:
        """The shares of each piece's words that stand in the title, and of its word pairs in the descriptions.

        Shape `(pieces, 3)`: title, description, product.
        """
        title = frozenset(_words(self.title))
        described, sold = (_pairs(_words(text)) for text in (self.description, self.product))
        rows = []
        for piece in pieces:
            words = _words(piece.text)
            pairs = list(pairwise(words)) if described or sold else []
            rows.append((_share(words, title), _share(pairs, described), _share(pairs, sold)))
        return np.array(rows, dtype=np.float32)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _pairs(words: Sequence[str]) -> frozenset[tuple[str, str]]:
    return frozenset(pairwise(words))


def _share(found: Sequence[object], known: frozenset[object]) -> float:
    return sum(one in known for one in found) / len(found) if found and known else 0.0
