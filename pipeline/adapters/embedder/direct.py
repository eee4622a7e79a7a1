"""The fast backend: Rust tokenizer, OpenVINO, and a graph built from the model's own weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.adapters.embedder.bert import BertShape, build, plain_linear, read_weights
from pipeline.adapters.embedder.embedding import unit
from pipeline.adapters.embedder.int8 import ACTIVATION_GROUP, int8_linear
from pipeline.adapters.embedder.wordpieces import WordPieces
from pipeline.model import ModelIdentity, Vector

if TYPE_CHECKING:
    import openvino

CPU_FLAGS = Path("/proc/cpuinfo")


def computes_bf16(cpu_flags: Path = CPU_FLAGS) -> bool:
    """Whether this processor multiplies bf16 itself; emulated, it would only be slower and less exact."""
    try:
        text = cpu_flags.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


class DirectBert:
    """A compiled BERT encoder. Its `forward` pools and normalises as the model's identity says."""

    def __init__(self, graph: openvino.Model, tokenizer: WordPieces, identity: ModelIdentity, *, threads: int) -> None:
        """Compile the graph (0.1 to 0.3 s of CPU for six layers); `threads=0` means all cores."""
        from openvino import Core  # noqa: PLC0415 - 80 ms of import, wanted by this backend alone

        wide = identity.precision == "fp32" or not computes_bf16()
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32" if wide else "bf16",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": ACTIVATION_GROUP if identity.precision == "int8" else 0,
            "ENABLE_CPU_PINNING": False,
        }
        self._request = Core().compile_model(graph, "CPU", options).create_infer_request()
        self._tokenizer = tokenizer
        self._takes_mean = identity.pooling == "mean"
        self._normalised = identity.normalised

    def forward(self, texts: Sequence[str], prompt: str) -> Vector:
        """Vectors of shape `(len(texts), dimension)`. Texts of one length share a pass; none is padded."""
        ids = [self._tokenizer.ids(prompt + text) for text in texts]
        order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
        vectors: list[Vector] = []
        for _, places in groupby(order, key=lambda place: len(ids[place])):
            vectors.append(self._same_length(np.array([ids[place] for place in places], np.int32)))
        restored = np.empty_like(np.concatenate(vectors))
        restored[order] = np.concatenate(vectors)
        return restored

    def _same_length(self, ids: np.ndarray) -> Vector:
        """One pass over token ids of shape `(texts, tokens)`."""
        self._request.infer([ids], share_inputs=True)
        states = self._request.get_output_tensor(0).data
        taken = states if self._takes_mean else states[:, :1]
        pooled: Vector = taken.mean(axis=1, dtype=np.float32)
        return unit(pooled) if self._normalised else pooled


def open_direct(
    shape: BertShape, weights_file: Path, tokenizer: WordPieces, identity: ModelIdentity, *, threads: int
) -> DirectBert:
    """Build and compile a model from its weights (0.4 s of CPU for all-MiniLM-L6-v2).

    Raises:
        KeyError: If the file lacks a weight that a BERT encoder has.
        SafetensorError: If the file cannot be read.
    """
    weights = read_weights(weights_file)
    linear = int8_linear(weights) if identity.precision == "int8" else plain_linear(weights)
    return DirectBert(build(shape, weights, linear), tokenizer, identity, threads=threads)
