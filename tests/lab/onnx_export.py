"""Writes the ONNX export that a BERT folder lacks, as those who publish models do: the same weights, another form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save_model
from safetensors.numpy import load_file

OPSET = 20
"""The first with GELU as one operator."""


def write_onnx_export(folder: Path) -> Path:
    """Write `onnx/model.onnx` beside the weights of a BERT encoder; mean pooling stays outside, as usual."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    graph = _Graph(load_file(folder / "model.safetensors"), config)
    axes = ["texts", "tokens"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes(),
            "bert",
            [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in ("input_ids", "attention_mask")],
            [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*axes, config["hidden_size"]])],
            initializer=graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=10,
    )
    path = folder / "onnx" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    save_model(model, path)
    return path


class _Graph:
    """The operators of an encoder, in order; each gives a value that is named after its place."""

    def __init__(self, weights: dict[str, NDArray[Any]], config: dict[str, Any]) -> None:
        self.constants: list[Any] = []
        self._weights = weights
        self._config = config
        self._operators: list[Any] = []

    def nodes(self) -> list[Any]:
        """All operators, from token ids to last hidden states."""
        states = self._normalise(self._embedded(), "embeddings.LayerNorm")
        for layer in range(self._config["num_hidden_layers"]):
            states = self._layer(states, f"encoder.layer.{layer}.")
        self._operators.append(helper.make_node("Identity", [states], ["last_hidden_state"]))
        return self._operators

    def _embedded(self) -> str:
        words = self._op("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        length = self._op("Gather", self._op("Shape", "input_ids"), self._constant(np.int64(1)))
        counted = self._op("Range", self._constant(np.int64(0)), length, self._constant(np.int64(1)))
        places = self._op("Gather", self._weight("embeddings.position_embeddings.weight"), counted)
        first_type = self._constant(self._weights["embeddings.token_type_embeddings.weight"][0])
        return self._op("Add", self._op("Add", words, places), first_type)

    def _layer(self, states: str, name: str) -> str:
        attended = self._linear(self._attention(states, f"{name}attention.self."), f"{name}attention.output.dense")
        states = self._normalise(self._op("Add", attended, states), f"{name}attention.output.LayerNorm")
        wide = self._op("Gelu", self._linear(states, f"{name}intermediate.dense"))
        narrow = self._linear(wide, f"{name}output.dense")
        return self._normalise(self._op("Add", narrow, states), f"{name}output.LayerNorm")

    def _attention(self, states: str, name: str) -> str:
        heads = self._config["num_attention_heads"]
        width = self._config["hidden_size"] // heads
        query, key, value = (self._heads(states, name + which, heads) for which in ("query", "key", "value"))
        turned = self._op("Transpose", key, perm=[0, 1, 3, 2])
        scores = self._op("Mul", self._op("MatMul", query, turned), self._constant(np.float32(width**-0.5)))
        masked = self._op("Add", scores, self._unread())
        mixed = self._op(
            "Transpose", self._op("MatMul", self._op("Softmax", masked, axis=-1), value), perm=[0, 2, 1, 3]
        )
        return self._op("Reshape", mixed, self._constant(np.array([0, 0, -1], np.int64)))

    def _heads(self, states: str, name: str, heads: int) -> str:
        split = self._constant(np.array([0, 0, heads, -1], np.int64))
        return self._op("Transpose", self._op("Reshape", self._linear(states, name), split), perm=[0, 2, 1, 3])

    def _unread(self) -> str:
        """What is added to scores: nothing where the mask is 1, a large minus where it is 0."""
        mask = self._op("Unsqueeze", "attention_mask", self._constant(np.array([1, 2], np.int64)))
        absent = self._op("Sub", self._constant(np.float32(1)), self._op("Cast", mask, to=TensorProto.FLOAT))
        return self._op("Mul", absent, self._constant(np.float32(-1e9)))

    def _linear(self, node: str, name: str) -> str:
        matrix = self._constant(np.ascontiguousarray(self._weights[f"{name}.weight"].T))
        return self._op("Add", self._op("MatMul", node, matrix), self._weight(f"{name}.bias"))

    def _normalise(self, node: str, name: str) -> str:
        scale, shift = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._op("LayerNormalization", node, scale, shift, epsilon=self._config["layer_norm_eps"])

    def _weight(self, name: str) -> str:
        return self._constant(self._weights[name])

    def _constant(self, value: NDArray[Any] | np.generic) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - numbers and lists, as each operator has them
        name = f"{kind}_{len(self._operators)}"
        self._operators.append(helper.make_node(kind, inputs, [name], **attributes))
        return name
