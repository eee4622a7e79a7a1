"""Describes under which heading each piece of a page stands: `You may also like` says more than any class name."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.stages.extract.pieces import Piece

_SUBJECTS = (
    (
        r"relat|you (?:may|might)|also (?:like|bought|viewed)|recommend|more (?:from|stories|articles|posts|news)"
        r"|more products|read (?:next|more|also)|similar|popular|trending|latest|recent|up next|keep reading|explore"
        r"|people also|other "
    ),
    r"comment|review|repl(?:y|ies)|discussion|rating|testimonial|what (?:our )?customers",
    r"newsletter|subscri|sign ?up|follow us|join (?:us|our)|share|connect with|stay in|contact|get in touch|support",
    r"description|detail|specification|feature|ingredient|material|overview|dimension|what'?s in|how to use|about this",
    r"\bfaqs?\b|questions|q ?& ?a",
)
_PATTERNS = tuple(re.compile(subject) for subject in _SUBJECTS)
_LABEL_LENGTH = 60
_NONE = (0.0,) * len(_PATTERNS)

Matrix = NDArray[np.float32]


def describe_sections(pieces: Sequence[Piece]) -> Matrix:
    """One row a piece: what it announces if it is short, and what the headings above it announce.

    Columns: subjects of its own, of the nearest heading, of the heading that one stands under; how much of the nearest
    heading is a link; how many pieces ago it was; whether there is one.
    """
    rows: list[tuple[float, ...]] = []
    open_headings: list[tuple[int, tuple[float, ...], float]] = []
    since = 0
    for piece in pieces:
        own = _subjects(piece.text) if len(piece.text) <= _LABEL_LENGTH else _NONE
        if piece.kind == "heading":
            while open_headings and open_headings[-1][0] >= piece.level:
                open_headings.pop()
        nearest = open_headings[-1] if open_headings else (0, _NONE, 0.0)
        outer = open_headings[-2][1] if len(open_headings) > 1 else _NONE
        rows.append((*own, *nearest[1], *outer, nearest[2], min(since, 20) / 10, float(bool(open_headings))))
        since += 1
        if piece.kind == "heading":
            open_headings.append((piece.level, own, min(1.0, piece.link_words / (piece.words or 1))))
            since = 0
    return np.array(rows, dtype=np.float32)


def _subjects(text: str) -> tuple[float, ...]:
    folded = text.lower()
    return tuple(1.0 if pattern.search(folded) else 0.0 for pattern in _PATTERNS)
