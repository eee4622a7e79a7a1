"""Chooses which pieces of a page are its main text."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.stages.extract.pieces import Hint, Piece

_NEVER = int(
    Hint.NAVIGATION
    | Hint.COOKIE
    | Hint.DIALOG
    | Hint.SHARE
    | Hint.NEWSLETTER
    | Hint.BREADCRUMB
    | Hint.PAGINATION
    | Hint.FOOTER
    | Hint.SKIP
)
_RARELY = int(Hint.ASIDE | Hint.RELATED | Hint.PROMOTION | Hint.CONTENTS | Hint.HEADER)
_MAIN = int(Hint.MAIN)


def choose(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces that are the page's main text, in order."""
    main = [piece for piece in pieces if piece.place.inherited & _MAIN]
    scope = main if sum(piece.words for piece in main) * 4 > sum(piece.words for piece in pieces) else pieces
    kept = [piece for piece in scope if _is_kept(piece)]
    return kept or list(scope)


def _is_kept(piece: Piece) -> bool:
    place = piece.place
    if place.inherited & _NEVER:
        return False
    if place.inherited & _RARELY and piece.link_words * 3 > piece.words:
        return False
    return not (piece.words and piece.link_words * 10 > piece.words * 9 and piece.kind in {"item", "paragraph"})
