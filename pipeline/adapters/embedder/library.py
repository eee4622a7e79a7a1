"""The broad backend: any model that sentence-transformers runs, on any device it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from safetensors import SafetensorError

from pipeline.adapters.embedder.embedding import Forward, unit
from pipeline.adapters.embedder.sources import ModelSource
from pipeline.errors import EmbedderUnavailable, ModelNotFound
from pipeline.model import ModelIdentity, Vector

if TYPE_CHECKING:
    import torch


class Encoder(Protocol):
    """What a sentence-transformers model does here."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def encode(self, texts: list[str], /, *, prompt: str, batch_size: int, show_progress_bar: bool) -> object:
        """An array of shape `(len(texts), dimension)`."""
        ...


TORCH_TYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
CPU_IS_FULL = "DefaultCPUAllocator"
"""What torch's complaint names when the machine's own memory is full: that failure has no class of its own."""


def open_library(source: ModelSource, identity: ModelIdentity, *, device: str, threads: int) -> Forward:
    """Load the model (5 to 7 s of CPU, most of it imports). `threads` holds for this whole process.

    Raises:
        ModelNotFound: If the folder does not hold a model the library can load.
        EmbedderUnavailable: If the model does not fit into the device's memory.
    """
    import torch  # noqa: PLC0415 - seconds of import, wanted by this backend alone
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - likewise

    if threads:
        torch.set_num_threads(threads)
    from transformers.utils import logging  # noqa: PLC0415 - likewise

    logging.disable_progress_bar()
    try:
        model = SentenceTransformer(
            str(source.path),
            device=device,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, TORCH_TYPES[identity.precision])},
        )
    except (OSError, ValueError, KeyError, RuntimeError, MemoryError, SafetensorError) as error:
        if _is_out_of_memory(error):
            raise EmbedderUnavailable(model=source.name, device=device, problem="no memory is left for it") from error
        problem = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelNotFound(model=source.name, folder=str(source.path), problem=problem[0]) from error
    return LibraryModel(model, identity).forward


class LibraryModel:
    """A loaded model. Vectors leave it as float32, brought to unit length again after half precision."""

    def __init__(self, model: Encoder, identity: ModelIdentity) -> None:
        self._model = model
        self._identity = identity

    def forward(self, texts: Sequence[str], prompt: str) -> Vector:
        """Vectors of shape `(len(texts), dimension)`, in one padded pass, or in smaller ones where memory is short.

        Raises:
            EmbedderUnavailable: If there is no memory for a single text.
        """
        done: list[Vector] = []
        start, size = 0, len(texts)
        while start < len(texts) or not done:
            vectors = self._in_one_pass(texts[start : start + size], prompt)
            if vectors is not None:
                done.append(vectors)
                start += size
            elif size > 1:
                size = (size + 1) // 2
            else:
                problem = "no memory is left for one text"
                raise EmbedderUnavailable(model=self._identity.name, device=self._model.device, problem=problem)
        vectors = np.concatenate(done)
        return unit(vectors) if self._identity.normalised else vectors

    def _in_one_pass(self, texts: Sequence[str], prompt: str) -> Vector | None:
        """The vectors as the model gives them; None if they do not fit into memory together, which is free again."""
        try:
            encoded = self._model.encode(list(texts), prompt=prompt, batch_size=len(texts), show_progress_bar=False)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        else:
            return np.asarray(encoded, dtype=np.float32)
        if self._model.device.type == "cuda":
            import torch  # noqa: PLC0415 - loaded long ago

            torch.cuda.empty_cache()
        return None


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a device, or the machine itself, had no memory left."""
    import torch  # noqa: PLC0415 - loaded by whoever has such an error

    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or CPU_IS_FULL in str(error)
