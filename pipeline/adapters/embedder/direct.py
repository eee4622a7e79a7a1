"""The fast backend: Rust tokenizer, OpenVINO, and a graph built from the model's own weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.adapters.embedder.bert import BertShape, build, plain_linear, read_weights
from pipeline.adapters.embedder.embedding import pooled, unit
from pipeline.adapters.embedder.int8 import ACTIVATION_GROUP, int8_linear
from pipeline.adapters.embedder.wordpieces import WordPieces
from pipeline.model import ModelIdentity, Vector

if TYPE_CHECKING:
    import openvino

KERNELS = 64
"""Kernels kept for text lengths seen before. The runtime's own 5,000 let a worker grow by 300 MB."""

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
            "CPU_RUNTIME_CACHE_CAPACITY": str(KERNELS),
        }
        self._request = Core().compile_model(graph, "CPU", options).create_infer_request()
        self._tokenizer = tokenizer
        self._pooling = identity.pooling
        self._normalised = identity.normalised

    def forward(self, texts: Sequence[str], prompt: str) -> Vector:
        """Vectors of shape `(len(texts), 2 * dimension)`, outer and inner, each from a pass of its own.

        Alone, a text needs no padding and its vector cannot depend on its neighbours. From 32 tokens
        up the best batch would be 5 to 15 % faster, and cost a prepared kernel for every shape.
        """
        rows = [self._vectors(self._tokenizer.ids(prompt + text)) for text in texts]
        outer, inner = (np.concatenate(part) for part in zip(*rows, strict=True))
        return np.hstack([unit(outer) if self._normalised else outer, unit(inner)])

    def _vectors(self, ids: list[int]) -> tuple[Vector, Vector]:
        """One text's vectors before normalisation, each of shape `(1, dimension)`."""
        self._request.infer([np.array([ids], np.int32)], share_inputs=True)
        outer, inner = (self._request.get_output_tensor(place).data for place in range(2))
        return pooled(outer, self._pooling), pooled(inner, "mean")


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
