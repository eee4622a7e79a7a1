"""Any cross-encoder with one score that sentence-transformers runs, on any device it knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.adapters.embedder.sources import find
from pipeline.errors import RerankerUnavailable
from pipeline.model import Vector
from pipeline.settings import RetrieveSettings

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

BATCH = 8
"""Pairs in one padded pass, of similar length."""

SETTING = "SITEWISE_RETRIEVE__RERANK_MODEL"


class LibraryReranker:
    """A loaded cross-encoder."""

    def __init__(self, model: CrossEncoder, *, name: str) -> None:
        self._model = model
        self.name = name

    def score(self, question: str, texts: Sequence[str]) -> Vector:
        """A logit for each text, shape `(len(texts),)`; neighbours in length share a pass."""
        import torch  # noqa: PLC0415 - loaded with the model

        if not texts:
            return np.empty(0, np.float32)
        pairs = [(question, text) for text in texts]
        logits = self._model.predict(
            pairs, batch_size=BATCH, activation_fn=torch.nn.Identity(), show_progress_bar=False
        )
        return np.asarray(logits, dtype=np.float32)


def open_reranker(settings: RetrieveSettings, *, device: str, threads: int, cache_dir: Path) -> LibraryReranker:
    """Load the model that the settings name: a folder, or a hub name.

    Args:
        settings: They name a model.
        device: `auto` for a GPU where there is one.
        threads: Of this whole process; 0: all cores.
        cache_dir: Where hashes of folders are remembered.

    Raises:
        ModelNotFound: If there is none.
        RerankerUnavailable: If what is there is no cross-encoder that gives one score.
    """
    source = find(settings.rerank_model or "", revision=settings.rerank_revision, cache_dir=cache_dir)
    import torch  # noqa: PLC0415 - seconds of import, wanted only where a reranker is set
    from sentence_transformers import CrossEncoder  # noqa: PLC0415 - likewise
    from transformers.utils import logging  # noqa: PLC0415 - likewise

    if threads:
        torch.set_num_threads(threads)
    logging.disable_progress_bar()
    try:
        model = CrossEncoder(str(source.path), device=None if device == "auto" else device, local_files_only=True)
    except Exception as error:  # whatever the library says of a folder that is none of its own
        problem = str(error).strip().splitlines() or [type(error).__name__]
        raise RerankerUnavailable(model=source.name, problem=problem[0], setting=SETTING) from error
    if model.num_labels != 1:
        too_many = f"it gives {model.num_labels} scores for a pair; one is needed"
        raise RerankerUnavailable(model=source.name, problem=too_many, setting=SETTING)
    return LibraryReranker(model, name=f"{source.name}@{source.revision} torch")
