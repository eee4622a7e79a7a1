"""Plans the embedding of many texts: equal texts once, neighbours in length together, order restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pipeline.model import Vector


def embed(
    texts: Sequence[str],
    *,
    counts: Sequence[int],
    batch_tokens: int,
    encode: Callable[[Sequence[str]], Vector],
) -> Vector:
    """Vectors of shape `(len(texts), dimension)`, in the order of `texts`.

    Args:
        texts: What to embed, of any number of pages.
        counts: Tokens of each text; they decide which texts share a pass.
        batch_tokens: Most tokens in one pass, padding included. A longer text gets a pass alone.
        encode: Turns one pass of distinct texts, no longer text before a shorter one, into vectors.

    Raises:
        ValueError: If `counts` is not as long as `texts`, or `encode` returns another number of vectors.
    """
    first_seen: dict[str, int] = {}
    for place, text in enumerate(texts):
        first_seen.setdefault(text, place)
    lengths = dict(zip(texts, counts, strict=True))
    distinct = sorted(first_seen, key=lambda text: (lengths[text], first_seen[text]))
    passes = [
        encode([distinct[place] for place in batch]) for batch in plan([lengths[t] for t in distinct], batch_tokens)
    ]
    if not passes:
        return encode([])
    vectors = np.concatenate(passes)
    if len(vectors) != len(distinct):
        raise ValueError(f"{len(vectors)} vectors for {len(distinct)} texts")
    row = {text: place for place, text in enumerate(distinct)}
    return vectors[[row[text] for text in texts]]


def plan(lengths: Sequence[int], batch_tokens: int) -> Iterator[range]:
    """Cut a non-decreasing list of lengths into runs whose padded size fits `batch_tokens`.

    A run of `n` texts padded to its longest costs `n` times its longest. A text that alone is over
    the limit is a run of its own.
    """
    start = 0
    for end, longest in enumerate(lengths):
        if end > start and (end - start + 1) * longest > batch_tokens:
            yield range(start, end)
            start = end
    if start < len(lengths):
        yield range(start, len(lengths))
