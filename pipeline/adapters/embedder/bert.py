"""Builds a BERT encoder as an OpenVINO graph, straight from its weights: no conversion, no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import openvino

Weights = Callable[[str], NDArray[Any]]
Linear = Callable[[Any, str], Any]
"""Applies the linear layer of that name to a graph node."""

ACTIVATIONS = {"gelu": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}


@dataclass(frozen=True, slots=True)
class BertShape:
    """The sizes of a BERT encoder."""

    layers: int
    hidden: int
    heads: int
    epsilon: float
    activation: str

    @property
    def head_width(self) -> int:
        """Numbers per attention head."""
        return self.hidden // self.heads


def shape_of(config: Mapping[str, Any]) -> BertShape | None:
    """The sizes named by a model's `config.json`, or None if this module cannot build the model."""
    plain = config.get("position_embedding_type", "absolute") == "absolute" and not config.get("is_decoder")
    activation = config.get("hidden_act", "gelu")
    if config.get("model_type") != "bert" or not plain or activation not in {*ACTIVATIONS, "relu"}:
        return None
    return BertShape(
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        heads=config["num_attention_heads"],
        epsilon=config.get("layer_norm_eps", 1e-12),
        activation=activation,
    )


def can_read(header: Mapping[str, Any]) -> bool:
    """Whether a safetensors header promises weights in numbers that NumPy has (bfloat16 is none)."""
    return {entry["dtype"] for name, entry in header.items() if name.endswith(".weight")} <= {"F32", "F16"}


def read_weights(path: Path) -> Weights:
    """Weights of a safetensors file by their bare BERT names, float32, read when asked for.

    Files differ in a prefix (`bert.`) and may hold half precision; both are undone.
    """
    from safetensors import safe_open  # noqa: PLC0415 - only this backend needs it

    tensors = safe_open(path, "np")
    prefix = next((name.removesuffix(_FIRST) for name in tensors.keys() if name.endswith(_FIRST)), None)  # noqa: SIM118 - safe_open is no mapping
    if prefix is None:
        raise KeyError(_FIRST)

    def tensor(name: str) -> NDArray[Any]:
        return np.asarray(tensors.get_tensor(prefix + name), dtype=np.float32)

    return tensor


_FIRST = "embeddings.word_embeddings.weight"


def build(shape: BertShape, weights: Weights, linear: Linear) -> openvino.Model:
    """A graph from token ids `(texts, tokens)`, int32, to hidden states `(texts, tokens, hidden)`: last, and inner.

    The inner ones are those of the layer two thirds up.
    There is no attention mask: all texts of a pass have the same length, so nothing is padding.
    Without one, bf16 loses a third as much as with it.
    """
    from openvino import Model  # noqa: PLC0415 - 80 ms of import, wanted by this backend alone
    from openvino import opset13 as op  # noqa: PLC0415 - likewise

    ids = op.parameter([-1, -1], np.int32, name="input_ids")
    states = _normalise(_embed(ids, weights), "embeddings.LayerNorm", shape, weights)
    inner = states
    for layer in range(shape.layers):
        states = _layer(states, f"encoder.layer.{layer}.", shape, weights, linear)
        inner = states if layer < shape.layers * 2 // 3 else inner
    return Model([states, inner], [ids], "bert")


def plain_linear(weights: Weights) -> Linear:
    """The linear layers as they are stored."""
    from openvino import opset13 as op  # noqa: PLC0415 - as in `build`

    def linear(node: Any, name: str) -> Any:  # noqa: ANN401 - graph nodes are untyped
        product = op.matmul(node, op.constant(weights(f"{name}.weight")), False, True)  # noqa: FBT003 - opset's order
        return op.add(product, op.constant(weights(f"{name}.bias")))

    return linear


def _embed(ids: Any, weights: Weights) -> Any:  # noqa: ANN401 - graph nodes are untyped
    """Word, position and type embeddings, added up."""
    from openvino import opset13 as op  # noqa: PLC0415 - as in `build`

    length = op.gather(op.shape_of(ids), _integers(1), _integers(0))
    positions = op.range(_integers(0), length, _integers(1), output_type="i64")
    words = op.gather(op.constant(weights(_FIRST)), ids, _integers(0))
    places = op.gather(op.constant(weights("embeddings.position_embeddings.weight")), positions, _integers(0))
    first_type = op.constant(weights("embeddings.token_type_embeddings.weight")[0])
    return op.add(op.add(words, first_type), op.unsqueeze(places, _integers(0)))


def _layer(states: Any, name: str, shape: BertShape, weights: Weights, linear: Linear) -> Any:  # noqa: ANN401 - graph nodes are untyped
    """One encoder layer: attention, then the two-step feed-forward, each with its residual."""
    from openvino import opset13 as op  # noqa: PLC0415 - as in `build`

    attended = _attention(states, f"{name}attention.self.", shape, linear)
    added = op.add(linear(attended, f"{name}attention.output.dense"), states)
    states = _normalise(added, f"{name}attention.output.LayerNorm", shape, weights)
    wide = linear(states, f"{name}intermediate.dense")
    wide = op.relu(wide) if shape.activation == "relu" else op.gelu(wide, ACTIVATIONS[shape.activation])
    added = op.add(linear(wide, f"{name}output.dense"), states)
    return _normalise(added, f"{name}output.LayerNorm", shape, weights)


def _attention(states: Any, name: str, shape: BertShape, linear: Linear) -> Any:  # noqa: ANN401 - graph nodes are untyped
    """Self-attention over all tokens of a text."""
    from openvino import opset13 as op  # noqa: PLC0415 - as in `build`

    swap = _integers([0, 2, 1, 3])

    def heads(which: str) -> Any:  # noqa: ANN401 - graph nodes are untyped
        split = _integers([0, 0, shape.heads, shape.head_width])
        return op.transpose(op.reshape(linear(states, name + which), split, special_zero=True), swap)

    scale = op.constant(np.float32(shape.head_width**-0.5))
    scores = op.multiply(op.matmul(heads("query"), heads("key"), False, True), scale)  # noqa: FBT003 - opset's order
    mixed = op.matmul(op.softmax(scores, -1), heads("value"), False, False)  # noqa: FBT003 - opset's order
    return op.reshape(op.transpose(mixed, swap), _integers([0, 0, shape.hidden]), special_zero=True)


def _normalise(node: Any, name: str, shape: BertShape, weights: Weights) -> Any:  # noqa: ANN401 - graph nodes are untyped
    """Layer normalisation over the last axis."""
    from openvino import opset13 as op  # noqa: PLC0415 - as in `build`

    centred = op.mvn(node, _integers([-1]), True, shape.epsilon, "inside_sqrt")  # noqa: FBT003 - opset's order
    scaled = op.multiply(centred, op.constant(weights(f"{name}.weight")))
    return op.add(scaled, op.constant(weights(f"{name}.bias")))


def _integers(values: int | list[int]) -> Any:  # noqa: ANN401 - graph nodes are untyped
    from openvino import opset13 as op  # noqa: PLC0415 - as in `build`

    return op.constant(np.array(values, np.int64))
