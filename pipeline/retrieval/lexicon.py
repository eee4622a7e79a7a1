"""Words as evidence: which triggers share rare pieces of words with a message."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.model import Vector

PIECES = (3, 4, 5)
"""Characters of the pieces a word is cut into; its edges count as characters."""

UNKNOWN = 0.3
"""What a piece that no trigger has takes from the likeness, beside the same piece known."""

WORDS_KEPT = 16_384
LONGEST_KEPT = 40
"""Words whose pieces are kept in memory, some 10 MB in all, and characters of the longest of them."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """TF-IDF over words, neighbouring words and pieces of words, as postings.

    `pieces` are sorted hashes; those of `pieces[i]` stand in `rows` and `weights` from `starts[i]` to `starts[i + 1]`.
    A row is a trigger, its weights have length 1.
    """

    pieces: NDArray[np.uint32]
    rarity: Vector
    starts: NDArray[np.int32]
    rows: NDArray[np.int32]
    weights: Vector
    texts: int

    def likeness(self, text: str) -> Vector:
        """The cosine between this text and each trigger, shape `(texts,)`."""
        counted = Counter(hashes(text))
        if not counted or not len(self.pieces):
            return np.zeros(self.texts, np.float32)
        asked = np.fromiter(counted, np.uint32, len(counted))
        weight = 1 + np.log(np.fromiter(counted.values(), np.float32, len(counted)))
        place = np.minimum(np.searchsorted(self.pieces, asked), len(self.pieces) - 1)
        known = self.pieces[place] == asked
        rarest = np.float32(1 + np.log(1 + self.texts))
        length = UNKNOWN * np.sum((weight[~known] * rarest) ** 2)
        weight, place = weight[known] * self.rarity[place[known]], place[known]
        length += np.sum(weight**2)
        starts, sizes = self.starts[place], self.starts[place + 1] - self.starts[place]
        postings = np.arange(int(sizes.sum())) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes)
        shared = np.repeat(weight, sizes) * self.weights[postings]
        found = np.bincount(self.rows[postings], shared, minlength=self.texts)
        likeness: Vector = (found / max(float(length), 1e-12) ** 0.5).astype(np.float32)
        return likeness


def learn_words(texts: Sequence[str]) -> Lexicon:
    """The lexicon of these triggers, in their order."""
    counted = [Counter(hashes(text)) for text in texts]
    rows = np.repeat(np.arange(len(texts), dtype=np.int32), [len(pieces) for pieces in counted])
    every = np.array([piece for pieces in counted for piece in pieces], np.uint32)
    times = np.array([times for pieces in counted for times in pieces.values()], np.float32)
    pieces, place, frequency = np.unique(every, return_inverse=True, return_counts=True)
    rarity = (1 + np.log((1 + len(texts)) / (1 + frequency))).astype(np.float32)
    weights = (1 + np.log(times)) * rarity[place]
    length = np.sqrt(np.bincount(rows, weights**2, minlength=len(texts)))
    weights = (weights / np.maximum(length[rows], 1e-12)).astype(np.float32)
    order = np.argsort(place, kind="stable")
    starts = np.concatenate([[0], np.cumsum(frequency)]).astype(np.int32)
    return Lexicon(pieces, rarity, starts, rows[order], weights[order], len(texts))


def hashes(text: str) -> list[int]:
    """The pieces of a text: every word, every two neighbours, every piece of a word; 32 bits each."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    found = [_hash(f"{first} {second}") for first, second in pairwise(words)]
    for word in words:
        found += _of_word(word) if len(word) <= LONGEST_KEPT else _of_word.__wrapped__(word)
    return found


@lru_cache(maxsize=WORDS_KEPT)
def _of_word(word: str) -> tuple[int, ...]:
    """A word and its pieces. The same words come again in every text, and cutting them up is what takes time."""
    edged = f"^{word}$"
    lengths = (length for length in PIECES if length < len(edged))
    pieces = [edged[at : at + length] for length in lengths for at in range(len(edged) - length + 1)]
    return (_hash(edged), *map(_hash, pieces))


def _hash(piece: str) -> int:
    return zlib.crc32(piece.encode("utf-8", "replace"))
