"""The broad backend: any model that sentence-transformers runs, on any device it knows."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from safetensors import SafetensorError

from pipeline.adapters.embedder.embedding import Forward, unit
from pipeline.adapters.embedder.sources import ModelSource
from pipeline.errors import ModelNotFound, PackageMissing
from pipeline.model import ModelIdentity, Vector

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Backend = Literal["torch", "onnx"]
NEEDED = {"torch": ("sentence_transformers", "torch"), "onnx": ("sentence_transformers", "onnxruntime", "optimum")}
TORCH_TYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def open_library(source: ModelSource, identity: ModelIdentity, *, device: str, threads: int) -> Forward:
    """Load the model (5 to 7 s of CPU, most of it imports). `threads` holds for this whole process.

    Raises:
        PackageMissing: If the backend's packages are not installed.
        ModelNotFound: If the folder does not hold a model the library can load.
    """
    for package in NEEDED[identity.backend]:
        if find_spec(package) is None:
            raise PackageMissing(package=package, setting="SITEWISE_EMBED__BACKEND", value=identity.backend)
    import torch  # noqa: PLC0415 - seconds of import, wanted by this backend alone
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - likewise

    if threads:
        torch.set_num_threads(threads)
    from transformers.utils import logging  # noqa: PLC0415 - likewise

    logging.disable_progress_bar()
    kwargs = {"dtype": getattr(torch, TORCH_TYPES[identity.precision])} if identity.backend == "torch" else {}
    try:
        model = SentenceTransformer(
            str(source.path),
            device=device,
            local_files_only=True,
            backend=cast("Backend", identity.backend),
            model_kwargs=kwargs,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        problem = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelNotFound(model=source.name, folder=str(source.path), problem=problem[0]) from error
    return _LibraryModel(model, normalised=identity.normalised).forward


class _LibraryModel:
    """A loaded model. Vectors leave it as float32, brought to unit length again after half precision."""

    def __init__(self, model: SentenceTransformer, *, normalised: bool) -> None:
        self._model = model
        self._normalised = normalised

    def forward(self, texts: Sequence[str], prompt: str) -> Vector:
        """Vectors of shape `(len(texts), dimension)`, all texts in one padded pass."""
        encoded = self._model.encode(list(texts), prompt=prompt, batch_size=len(texts), show_progress_bar=False)
        vectors = np.asarray(encoded, dtype=np.float32)
        return unit(vectors) if self._normalised else vectors
