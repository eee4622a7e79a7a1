"""Linear layers in 8-bit integers: weights rounded when the model opens, activations at each pass.

No calibration text is needed and any BERT works, because each group of activations gets its scale
from its own values while it is multiplied (OpenVINO's dynamic quantisation).
"""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.embedder.bert import Linear, Weights

WEIGHT_GROUP = 128
"""Neighbouring weights of a row that share a scale. One scale a row doubles the error and saves no time."""

ACTIVATION_GROUP = 64
"""Neighbouring activations that share a scale; 32 costs a tenth of the speed, 384 triples the error."""


def int8_linear(weights: Weights) -> Linear:
    """Linear layers whose weights are stored as int8 with a float scale for each group."""
    from openvino import opset13 as op  # noqa: PLC0415 - as in `bert.build`

    def linear(node: Any, name: str) -> Any:  # noqa: ANN401 - graph nodes are untyped
        rounded, scales = quantise(weights(f"{name}.weight"))
        grouped = op.multiply(op.convert(op.constant(rounded), "f32"), op.constant(scales))
        rows = op.constant(np.array([rounded.shape[0], -1], np.int64))
        restored = op.reshape(grouped, rows, special_zero=False)
        product = op.matmul(node, restored, False, True)  # noqa: FBT003 - opset's order
        return op.add(product, op.constant(weights(f"{name}.bias")))

    return linear


def quantise(matrix: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A weight matrix `(out, in)` as int8 `(out, groups, group)` and scales `(out, groups, 1)`.

    `rounded * scales` differs from the matrix by at most half a scale.
    """
    rows, columns = matrix.shape
    grouped = matrix.reshape(rows, -1, gcd(columns, WEIGHT_GROUP))
    largest = np.abs(grouped).max(axis=2, keepdims=True)
    scales = np.maximum(largest / 127, np.finfo(np.float32).tiny).astype(np.float32)
    return np.round(grouped / scales).astype(np.int8), scales
